package root

import (
	"bytes"
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/seaworthy-dev/seaworthy"
)

// takeApart makes the sources a root could have been made of.
func takeApart(t *testing.T, r *Root) []Source {
	t.Helper()
	var out []Source
	var b bytes.Buffer
	add := func(der []byte) {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ca := range r.sig.FulcioCertificateAuthorities() {
		f := ca.(*sigroot.FulcioCertificateAuthority)
		b.Reset()
		for _, c := range f.Intermediates {
			add(c.Raw)
		}
		add(f.Root.Raw)
		out = append(out, Source{RoleAuthority, f.URI, bytes.Clone(b.Bytes()), f.ValidityPeriodStart, f.ValidityPeriodEnd})
	}
	for _, tsa := range r.sig.TimestampingAuthorities() {
		s := tsa.(*sigroot.SigstoreTimestampingAuthority)
		b.Reset()
		if s.Leaf != nil {
			add(s.Leaf.Raw)
		}
		for _, c := range s.Intermediates {
			add(c.Raw)
		}
		add(s.Root.Raw)
		out = append(out, Source{RoleTimestamper, s.URI, bytes.Clone(b.Bytes()), s.ValidityPeriodStart, s.ValidityPeriodEnd})
	}
	for role, logs := range map[string]map[string]*sigroot.TransparencyLog{RoleLog: r.RekorLogs(), RoleCertificateLog: r.CTLogs()} {
		for _, l := range logs {
			text, err := cryptoutils.MarshalPublicKeyToPEM(l.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, Source{role, l.BaseURL, text, l.ValidityPeriodStart, l.ValidityPeriodEnd})
		}
	}
	return out
}

func TestMakeGivesTheSameRoot(t *testing.T) {
	want, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Make(takeApart(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Entries(), got.Entries()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeBelieved(t *testing.T) {
	good, err := PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	ca := takeApart(t, good)[0]
	first, rest := pem.Decode(takeApart(t, good)[1].PEM) // with an intermediate
	now := time.Unix(1, 0)
	for name, c := range map[string]struct {
		s    Source
		want seaworthy.Code
	}{
		"no time":    {Source{RoleAuthority, ca.URI, ca.PEM, time.Time{}, time.Time{}}, seaworthy.Usage},
		"no address": {Source{RoleAuthority, "", ca.PEM, now, time.Time{}}, seaworthy.Usage},
		"no role":    {Source{"friend", ca.URI, ca.PEM, now, time.Time{}}, seaworthy.Usage},
		"no PEM":     {Source{RoleAuthority, ca.URI, []byte("x"), now, time.Time{}}, seaworthy.Invalid},
		"no root":    {Source{RoleAuthority, ca.URI, pem.EncodeToMemory(first), now, time.Time{}}, seaworthy.Invalid},
		"wrong way":  {Source{RoleAuthority, ca.URI, append(bytes.Clone(rest), pem.EncodeToMemory(first)...), now, time.Time{}}, seaworthy.Invalid},
		"no key":     {Source{RoleLog, ca.URI, ca.PEM, now, time.Time{}}, seaworthy.Invalid},
	} {
		if _, err := Make([]Source{c.s}); seaworthy.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
