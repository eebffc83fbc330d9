// Package gateway applies the rules of Gateways: their classes, their listeners and those of their ListenerSets, with
// certificates and conflicts, and what the status says about all that. Every function is pure.
//
// An API listener is one entry of spec.listeners of a Gateway or of a ListenerSet (GEP-1713); a socket is one port with all
// API listeners that share it. HTTPS and TLS listeners share a port when their hostnames differ. A usable listener is served:
// accepted, without a conflict, and with a certificate where it needs one. The owner of a hostname is the API listener that
// requests for it belong to: the one with the most specific hostname that matches (GEP-3155, listener isolation).
//
// API listeners of one object that conflict are none of them served; of those of different objects the first is: the Gateway's,
// then those of the oldest ListenerSet.
package gateway
