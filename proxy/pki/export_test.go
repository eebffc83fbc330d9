package pki

// RequestedKey reads what callers send.
var RequestedKey = requestedKey

// ProxyOf reads a certificate that is taken for verified.
var ProxyOf = proxyOf
