package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// The PEM types of password-protected key files: what is written, and what cosign wrote before version 2.
const (
	sealedType    = "ENCRYPTED SIGSTORE PRIVATE KEY"
	oldSealedType = "ENCRYPTED COSIGN PRIVATE KEY"
)

func isPrivate(pemType string) bool { return strings.HasSuffix(pemType, "PRIVATE KEY") }

// makers are the kinds of key that are made, by the names people give them by.
var makers = map[string]func() (crypto.PrivateKey, error){
	"ecdsa-p256": func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"ecdsa-p384": func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	"ed25519": func() (crypto.PrivateKey, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	},
	"rsa-2048": func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	"rsa-3072": func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 3072) },
	"rsa-4096": func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 4096) },
}

// Kinds lists the kinds of key that Generate makes, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(makers)) }

// Generate makes a key of a kind that Kinds lists. Errors: Usage.
func Generate(kind string) (Private, error) {
	make, ok := makers[kind]
	if !ok {
		return Private{}, seaworthy.Errorf(seaworthy.Usage, "there is no kind of key %q", kind).WithHint("choose one of %s", strings.Join(Kinds(), ", "))
	}
	k, err := make()
	if err != nil {
		return Private{}, seaworthy.Wrap(err, seaworthy.Internal, "making a key")
	}
	return NewPrivate(k)
}

// Seal writes the key as a file protected by a password, in cosign's format: PEM around JSON that names scrypt
// (N=2^16, r=8, p=1; 64 MiB of memory) and NaCl secretbox, around PKCS #8. An empty password protects nothing, but
// is what cosign's users in CI have. Errors: Internal.
func (p Private) Seal(password []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "writing a private key")
	}
	b, err := encrypted.Encrypt(der, password)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Internal, "encrypting a private key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: b}), nil
}

// ParsePrivate reads a private key file: cosign's, under its old and new header, and for import EC, RSA and
// PKCS #8 in PEM. password is asked only for a file that has one. What password returns is not kept.
// Errors: Invalid, Unsupported; Unauthorized for a wrong password; those of password.
func ParsePrivate(b []byte, password func() ([]byte, error)) (Private, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return Private{}, seaworthy.Errorf(seaworthy.Invalid, "there is no private key in PEM in it")
		}
		if block.Type == "EC PARAMETERS" { // openssl ecparam writes them before the key
			continue
		}
		return parsePrivateBlock(block, password)
	}
}

func parsePrivateBlock(block *pem.Block, password func() ([]byte, error)) (Private, error) {
	var k crypto.PrivateKey
	var err error
	switch block.Type {
	case sealedType, oldSealedType:
		der, openErr := unseal(block.Bytes, password)
		if openErr != nil {
			return Private{}, openErr
		}
		k, err = x509.ParsePKCS8PrivateKey(der)
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return Private{}, seaworthy.Errorf(seaworthy.Unsupported, "it is an encrypted PKCS #8 key").
			WithHint("decrypt it first: openssl pkey -in KEY -out PLAIN, and import that")
	default:
		return Private{}, seaworthy.Errorf(seaworthy.Unsupported, "it is a PEM file with a %q, not a private key", block.Type)
	}
	if block.Headers["DEK-Info"] != "" {
		return Private{}, seaworthy.Errorf(seaworthy.Unsupported, "it is encrypted as OpenSSL did before 1.0").WithHint("decrypt it first: openssl pkey -in KEY -out PLAIN, and import that")
	}
	if err != nil { // what the parser says could hold bytes of the key
		return Private{}, seaworthy.Errorf(seaworthy.Invalid, "its %s is broken", block.Type)
	}
	return NewPrivate(k)
}

// unseal decrypts the JSON in a sealed file.
func unseal(b []byte, password func() ([]byte, error)) ([]byte, error) {
	if err := exactjson.Check(b); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading how a private key is encrypted")
	}
	if password == nil {
		return nil, seaworthy.Errorf(seaworthy.Unauthorized, "the key has a password and none was given")
	}
	pass, err := password()
	if err != nil {
		return nil, err
	}
	der, err := encrypted.Decrypt(b, pass)
	if err == nil {
		return der, nil
	}
	if strings.Contains(err.Error(), "decryption failed") {
		return nil, seaworthy.Errorf(seaworthy.Unauthorized, "the password is wrong, or the file is damaged").
			WithHint("the password is taken from SEAWORTHY_PASSWORD, COSIGN_PASSWORD, --password-file, or asked for")
	}
	return nil, seaworthy.Errorf(seaworthy.Unsupported, "decrypting a private key: it names parameters that are not used").
		WithHint("scrypt with N=32768, 65536 or 131072, r=8, p=1, and nacl/secretbox are read")
}
