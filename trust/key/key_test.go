package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/seaworthy-dev/seaworthy"
)

func password(p string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(p), nil }
}

func TestKeysSignAndAreKept(t *testing.T) {
	for _, kind := range Kinds() {
		if kind == "rsa-3072" || kind == "rsa-4096" {
			continue // seconds each, and the same code as rsa-2048
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			k, err := Generate(kind)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := k.Seal([]byte("correct"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(sealed, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")) {
				t.Errorf("the file begins with %q", sealed[:30])
			}
			if _, err := ParsePrivate(sealed, password("wrong")); seaworthy.CodeOf(err) != seaworthy.Unauthorized {
				t.Errorf("a wrong password gives %v", err)
			}
			old := bytes.ReplaceAll(sealed, []byte("SIGSTORE"), []byte("COSIGN"))
			back, err := ParsePrivate(old, password("correct"))
			if err != nil {
				t.Fatal(err)
			}
			pub, err := ParsePublic(k.Public().PEM())
			if err != nil || !pub.Equal(back.Public()) {
				t.Fatalf("another key came back (%v)", err)
			}
			signs(t, back, pub)
		})
	}
}

// signs checks that what the key signs verifies, for messages also by digest, and that nothing else does.
func signs(t *testing.T, k Private, pub Public) {
	t.Helper()
	for _, use := range []Use{Message, Envelope} {
		sig, err := k.Sign(strings.NewReader("text"), use)
		if err != nil {
			t.Fatal(err)
		}
		ways, err := pub.Verifiers(use)
		if err != nil {
			t.Fatal(err)
		}
		if err := ways[0].VerifySignature(bytes.NewReader(sig), strings.NewReader("text")); err != nil {
			t.Error(err)
		}
		for _, way := range ways {
			if way.VerifySignature(bytes.NewReader(sig), strings.NewReader("test")) == nil {
				t.Error("another text verifies")
			}
		}
	}
	h := pub.Hash(Message).New()
	h.Write([]byte("text"))
	sig, err := k.SignDigest(h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	ways, err := pub.Verifiers(Message)
	if err != nil {
		t.Fatal(err)
	}
	if err := ways[0].VerifySignature(bytes.NewReader(sig), nil, options.WithDigest(h.Sum(nil))); err != nil {
		t.Error(err)
	}
}

func TestImport(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, c := range map[string]struct {
		file []byte
		want string // kind, or code of the error
	}{
		"EC":                {block("EC PRIVATE KEY", ecDER), "ECDSA P-384"},
		"EC and parameters": {append(block("EC PARAMETERS", []byte{6, 5}), block("EC PRIVATE KEY", ecDER)...), "ECDSA P-384"},
		"RSA":               {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), "RSA 2048"},
		"PKCS 8":            {block("PRIVATE KEY", pkcs8), "ECDSA P-384"},
		"encrypted PKCS 8":  {block("ENCRYPTED PRIVATE KEY", pkcs8), "unsupported"},
		"public":            {block("PUBLIC KEY", pkcs8), "unsupported"},
		"broken":            {block("PRIVATE KEY", pkcs8[:20]), "invalid"},
		"no PEM":            {[]byte("secret"), "invalid"},
		"empty":             {nil, "invalid"},
		"sealed rubbish":    {block(sealedType, []byte(`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1}},"cipher":{}}`)), "unsupported"},
		"sealed twice":      {block(sealedType, []byte(`{"kdf":{},"kdf":{}}`)), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParsePrivate(c.file, password(""))
			got := k.Public().Kind()
			if err != nil {
				got = string(seaworthy.CodeOf(err))
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("cannot make a small key: %v", err)
	}
	if _, err := NewPrivate(small); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("RSA 1024: %v", err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPrivate(p224); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("P-224: %v", err)
	}
}

// A private key is in no text that is made of it, by any verb.
func TestPrivateKeysAreNotPrinted(t *testing.T) {
	k, err := Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	ec := k.Signer().(*ecdsa.PrivateKey)
	raw, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 a broken key is what this test needs
	n := fmt.Sprint(ec.D) // the canary
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text := fmt.Sprintf(verb, k) + fmt.Sprintf(verb, struct{ K Private }{k}) + fmt.Sprintf(verb, []any{k})
		for _, secret := range []string{n, fmt.Sprintf("%x", raw), base64.StdEncoding.EncodeToString(raw)} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s prints the key", verb)
			}
		}
	}
}

func TestHintIsCosigns(t *testing.T) {
	k, err := Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public().Key())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	if got, want := k.Public().Hint(), base64.StdEncoding.EncodeToString(sum[:]); got != want {
		t.Errorf("the hint is %q, want %q", got, want)
	}
}

func FuzzParsePublic(f *testing.F) {
	k, err := Generate("ed25519")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Public().PEM())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePublic(b); err == nil {
			if again, err := ParsePublic(p.PEM()); err != nil || !again.Equal(p) {
				t.Errorf("it does not come back: %v", err)
			}
		}
	})
}

func FuzzParsePrivate(f *testing.F) {
	k, err := Generate("ecdsa-p256")
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	f.Add([]byte("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\ne30=\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n"))
	refuse := seaworthy.Errorf(seaworthy.Unauthorized, "no password")
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePrivate(b, func() ([]byte, error) { return nil, refuse })
		if (err == nil) != (k.Public().Key() != nil) {
			t.Errorf("%v", err)
		}
	})
}
