// Package reference says what a reference from one object to another comes to: whether it is permitted, and whether the
// certificates it leads to can be used.
//
// A grant is a ReferenceGrant in the namespace that is referred into (GEP-709). A certificate is a Secret with a chain and its
// private key. A bundle is a ConfigMap or Secret with certificates that are trusted. Whether a certificate has expired is not
// judged: that is between the proxy and whoever connects. No message holds anything of the contents of a Secret.
package reference
