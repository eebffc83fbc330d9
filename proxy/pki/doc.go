// Package pki says who a proxy is. It has the certificate authority of one installation, the certificates of its proxies
// and controllers, and the exchange that gives a proxy its certificate.
//
// Words:
//
//   - A root is a self-signed certificate with its key (ECDSA P-256). An Authority is one root, or several while one
//     follows another. Its anchors are the certificates of its roots, which everybody may read.
//
//   - A root is announced (an anchor, signs nothing), then it signs, then it is retired (an anchor, signs nothing) until
//     everything it signed has expired. At each time one root signs. In which phase a root is follows from the clock and
//     the ages of all roots, so that replicas that read the same Authority agree without a word.
//
//   - A Proxy is a pod and the Gateway it serves; a Controller is a pod of the controller. Either is written into a
//     certificate as its only URI:
//
//     headgate://proxy/namespace/infra/gateway/public/pod/public-7d9f8b6c5-x2x4k
//     headgate://controller/namespace/headgate-system/pod/headgate-0
//
//     A proxy's certificate is good for TLS clients only; a controller's for both sides, and it has ServerName besides.
//
//   - The exchange is an HTTPS endpoint with a port of its own: a proxy sends its projected token and a key of its own
//     making, and gets a certificate. What the certificate says comes from the reviewed token; of the request only the
//     public key is taken. Whoever has no certificate yet, and so may be anybody, never reaches the port of the
//     configuration.
//
// Keys and serial numbers come from the system's random source: Go's crypto takes no other. Time is an argument.
package pki
