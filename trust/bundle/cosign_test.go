package bundle_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// cosignLayer is a published DSSE bundle as cosign would have kept it in a layer at the tag .att.
func cosignLayer(t *testing.T, b []byte) (envelope []byte, annotations map[string]string) {
	t.Helper()
	var doc struct {
		VerificationMaterial struct {
			Certificate struct{ RawBytes []byte }
			TlogEntries []struct {
				LogIndex          string
				LogID             struct{ KeyID []byte } `json:"logId"`
				IntegratedTime    string
				InclusionPromise  struct{ SignedEntryTimestamp []byte }
				CanonicalizedBody []byte
			}
		}
		DsseEnvelope json.RawMessage
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	e := doc.VerificationMaterial.TlogEntries[0]
	logIndex, err := strconv.Atoi(e.LogIndex)
	if err != nil {
		t.Fatal(err)
	}
	integrated, err := strconv.Atoi(e.IntegratedTime)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": e.InclusionPromise.SignedEntryTimestamp,
		"Payload":              map[string]any{"body": e.CanonicalizedBody, "integratedTime": integrated, "logIndex": logIndex, "logID": hex.EncodeToString(e.LogID.KeyID)},
	})
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: doc.VerificationMaterial.Certificate.RawBytes})
	return doc.DsseEnvelope, map[string]string{bundle.CosignSignature: "", bundle.CosignCertificate: string(cert), bundle.CosignBundle: string(entry)}
}

// What cosign kept of a certified attestation verifies as the bundle does, and is refused as the bundle is.
func TestCosignAttestation(t *testing.T) {
	vectorNames(t)
	v := readVector(t, "happy-path-intoto-in-dsse-v3")
	envelope, annotations := cosignLayer(t, v.bundle)
	check := func(envelope []byte, annotations map[string]string) error {
		u, err := bundle.Cosign(bundle.EnvelopeType, annotations, envelope)
		if err != nil {
			return err
		}
		_, err = bundle.Verify(u, v.artifact, v.accept, v.root, bundle.Options{})
		return err
	}
	if err := check(envelope, annotations); err != nil {
		t.Fatal(err)
	}
	other := readVector(t, "happy-path-v0.3")
	var doc struct {
		VerificationMaterial struct{ Certificate struct{ RawBytes []byte } }
	}
	if err := json.Unmarshal(other.bundle, &doc); err != nil {
		t.Fatal(err)
	}
	otherCert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: doc.VerificationMaterial.Certificate.RawBytes}))
	with := func(name, value string) map[string]string {
		m := map[string]string{}
		for k, v := range annotations {
			m[k] = v
		}
		if m[name] = value; value == "" {
			delete(m, name)
		}
		return m
	}
	entry := annotations[bundle.CosignBundle]
	for name, c := range map[string]struct {
		envelope    []byte
		annotations map[string]string
		want        bundle.Check
	}{
		"no certificate":      {envelope, with(bundle.CosignCertificate, ""), bundle.CheckSigner},
		"another certificate": {envelope, with(bundle.CosignCertificate, otherCert), bundle.CheckSignature},
		"no log entry":        {envelope, with(bundle.CosignBundle, ""), bundle.CheckLog},
		"another index":       {envelope, with(bundle.CosignBundle, strings.Replace(entry, `"logIndex":`, `"logIndex":1`, 1)), bundle.CheckLog},
		"another time":        {envelope, with(bundle.CosignBundle, strings.Replace(entry, `"integratedTime":17`, `"integratedTime":16`, 1)), bundle.CheckLog},
		"index twice":         {envelope, with(bundle.CosignBundle, strings.Replace(entry, `"Payload":{`, `"Payload":{"logIndex":1,`, 1)), read},
		"payload in case":     {[]byte(strings.Replace(string(envelope), `"payload"`, `"Payload"`, 1)), annotations, read},
		"another type":        {[]byte(strings.Replace(string(envelope), "in-toto", "in-tofu", 1)), annotations, bundle.CheckArtifact},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(c.envelope, c.annotations)
			got := read
			if r := bundle.RefusalOf(err); r != nil {
				got = r.Check
			}
			if err == nil || got != c.want {
				t.Errorf("got %v, want a refusal by %q", err, c.want)
			}
		})
	}
}

// A simple-signing payload names its image; the signature is over the payload.
func TestCosignSignature(t *testing.T) {
	k, err := key.Generate("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	digest := seaworthy.SHA256([]byte("image"))
	payload := `{"critical":{"identity":{"docker-reference":"r"},"image":{"docker-manifest-digest":"` + string(digest) + `"},"type":"cosign container image signature"},"optional":null}`
	check := func(payload, signed string, image seaworthy.Digest) (bundle.Check, error) {
		sig, err := k.Sign(strings.NewReader(signed), key.Message)
		if err != nil {
			t.Fatal(err)
		}
		u, err := bundle.Cosign(bundle.SimpleSigningType, map[string]string{bundle.CosignSignature: base64.StdEncoding.EncodeToString(sig)}, []byte(payload))
		if err != nil {
			return read, err
		}
		a, err := bundle.DigestArtifact("image", image)
		if err != nil {
			t.Fatal(err)
		}
		v, err := bundle.Verify(u, a, bundle.Accept{Keys: []key.Public{k.Public()}}, nil, bundle.Options{PredicateTypes: []string{bundle.SignPredicate}})
		if r := bundle.RefusalOf(err); r != nil {
			return r.Check, err
		}
		if got, kind := v.Payload(); string(got) != payload || kind != bundle.SimpleSigningType {
			t.Errorf("the payload is %q, a %q", got, kind)
		}
		return "", err
	}
	changed := strings.Replace(payload, `"r"`, `"s"`, 1)
	for name, c := range map[string]struct {
		payload, signed string
		image           seaworthy.Digest
		want            bundle.Check
	}{
		"good":           {payload, payload, digest, ""},
		"another image":  {payload, payload, seaworthy.SHA256(nil), bundle.CheckArtifact},
		"changed":        {changed, payload, digest, bundle.CheckSignature},
		"another type":   {strings.Replace(payload, "cosign container", "other", 1), payload, digest, read},
		"digest twice":   {strings.Replace(payload, `"image":{`, `"image":{"docker-manifest-digest":"x",`, 1), payload, digest, read},
		"critical twice": {strings.Replace(payload, `{"critical"`, `{"Critical":{},"critical"`, 1), payload, digest, read},
	} {
		if got, err := check(c.payload, c.signed, c.image); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, c.want)
		}
	}
}
