package model

// SecretID names a secret: "certificate/namespace/name" for a Secret of a certificate and its key,
// "ca/KIND/namespace/name", with further "+KIND/namespace/name", for certificates that are trusted.
type SecretID string

// Secret is what a SecretID stands for. Either Certificate and Key are set, or CA.
type Secret struct {
	ID SecretID
	// Certificate is a PEM chain, the leaf first; Key is its private key, PEM too.
	Certificate []byte
	Key         PrivateKey
	// CA is a PEM bundle of certificates.
	CA []byte
}

// PrivateKey is a key that no format of fmt and no encoding of JSON shows.
type PrivateKey []byte

const hidden = "(hidden)"

// String hides the key.
func (PrivateKey) String() string { return hidden }

// GoString hides the key.
func (PrivateKey) GoString() string { return hidden }

// MarshalText hides the key.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }
