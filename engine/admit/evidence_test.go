package admit

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/key"
)

// cdx is a bill with one npm package.
func cdx(name, version string) string {
	return fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"library","bom-ref":"a","name":%q,"version":%q,"purl":"pkg:npm/%s@%s"}]}`, name, version, name, version)
}

// evidence is what the gate would know of an image.
func (h *harbour) evidence(d oci.Descriptor, a *Advisories) *evidence {
	g := New(Options{Advisories: a, Registries: RegistriesFunc(func(context.Context, oci.Reference, Asker) (oci.Place, string, error) { return h, "", nil })})
	return g.evidenceOf(&subject{world: &world{advisories: a}, place: h, where: "registry.example", image: policy.Image{Reference: repo + ":1", Digest: d.Digest}})
}

// attachFile makes a referrer of an image, or a tag, with a file as its only layer.
func (h *harbour) attachFile(t *testing.T, d oci.Descriptor, tag, mediaType, body string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	a := oci.Artifact{Type: mediaType, Files: []oci.File{{Path: file}}}
	if tag == "" {
		a.Subject = &d
	}
	made, err := oci.PushFiles(t.Context(), h.Layout, tag, a)
	if err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		h.tag(tag, made.Digest)
	}
}

func TestBills(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "app")
	h.attachFile(t, d, "", "application/vnd.cyclonedx+json", cdx("attached", "1"))
	h.attachFile(t, d, "", "application/spdx+json", `{"spdxVersion":"SPDX-2.3","packages":`)
	h.attachFile(t, d, "", "application/vnd.other+json", cdx("other", "1"))
	h.attachFile(t, d, oci.FallbackTag(d.Digest)+".sbom", "text/spdx", "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: x\nDocumentNamespace: https://example.com/x\n\nPackageName: tagged\nSPDXID: SPDXRef-a\nPackageVersion: 1\n")
	h.attest(t, d, k, "https://cyclonedx.org/bom", cdx("attested", "1"))
	h.attest(t, d, k, "https://slsa.dev/provenance/v1", `{}`)
	another := h.push(t, "another")
	h.attest(t, another, k, "https://cyclonedx.org/bom", cdx("of another image", "1"))

	e := h.evidence(d, nil)
	bills, err := e.Bills(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, b := range bills {
		name := "broken"
		if b.Bill != nil {
			name = b.Bill.Packages[0].Name
		} else if b.Err == nil {
			t.Errorf("neither a bill nor why not: %+v", b)
		}
		got[name] = strings.TrimSpace(b.ArtifactType + " " + b.PredicateType)
		if b.Digest == "" || b.Manifest == "" || b.Source == "" || len(b.Signers) > 0 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	want := map[string]string{
		"attached": "application/vnd.cyclonedx+json", "broken": "application/spdx+json", "tagged": "text/spdx", "attested": "https://cyclonedx.org/bom",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before := h.count()
	if again, err := e.Bills(t.Context()); err != nil || len(again) != len(bills) || h.count() != before {
		t.Errorf("asked again: %v", err)
	}
	artifacts, err := e.Artifacts(t.Context())
	if err != nil || len(artifacts) != 6 {
		t.Errorf("%d artifacts, %v", len(artifacts), err)
	}
}

// A registry that does not answer is an error of everything that is asked, never "there is none".
func TestNoAnswerIsNoNo(t *testing.T) {
	h := newHarbour(t)
	d := h.push(t, "app")
	for name, ask := range map[string]func(*evidence) error{
		"verify":    func(e *evidence) error { _, err := e.Verify(t.Context(), verify.Request{}); return err },
		"bills":     func(e *evidence) error { _, err := e.Bills(t.Context()); return err },
		"config":    func(e *evidence) error { _, err := e.Config(t.Context()); return err },
		"artifacts": func(e *evidence) error { _, err := e.Artifacts(t.Context()); return err },
		"findings":  func(e *evidence) error { _, err := e.Findings(t.Context()); return err },
		"verify elsewhere": func(e *evidence) error {
			_, err := e.VerifyAt(t.Context(), policy.Source{Repository: "registry.example/signatures"}, verify.Request{})
			return err
		},
	} {
		h.set(errDown, nil)
		e := h.evidence(d, &Advisories{DB: database(t)})
		if err := ask(e); seaworthy.CodeOf(err) != seaworthy.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		h.set(nil, nil)
		if err := ask(e); seaworthy.CodeOf(err) != seaworthy.Unavailable {
			t.Errorf("%s: the error is not remembered: %v", name, err)
		}
	}
}

func database(t *testing.T) *advisory.DB {
	t.Helper()
	src, file := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "a.db")
	write(t, filepath.Join(src, "a.json"), []byte(`{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","database_specific":{"severity":"HIGH"},`+
		`"affected":[{"package":{"ecosystem":"npm","name":"bad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`))
	if _, err := advisory.Build(t.Context(), []advisory.Input{{Path: src, ModTime: time.Unix(1, 0)}}, file, advisory.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestFindings(t *testing.T) {
	h := newHarbour(t)
	db := &Advisories{DB: database(t)}
	bad, good, none := h.push(t, "bad"), h.push(t, "good"), h.push(t, "none")
	h.attachFile(t, bad, "", "application/vnd.cyclonedx+json", cdx("bad", "1.0.0"))
	h.attachFile(t, bad, "", "application/vnd.cyclonedx+json", cdx("bad", "1.0.0")+"\n") // the same once more
	h.attachFile(t, good, "", "application/vnd.cyclonedx+json", cdx("bad", "2.0.0"))
	found, err := h.evidence(bad, db).Findings(t.Context())
	if err != nil || len(found) != 1 || found[0].ID != "GHSA-1" {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err = h.evidence(good, db).Findings(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	// Who does not know what is in an image does not know that nothing is wrong with it.
	if _, err = h.evidence(none, db).Findings(t.Context()); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("without a bill: %v", err)
	}
	if _, err = h.evidence(bad, nil).Findings(t.Context()); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("without advisories: %v", err)
	}
}

func TestConfig(t *testing.T) {
	h := newHarbour(t)
	one := h.push(t, "one")
	configs, err := h.evidence(one, nil).Config(t.Context())
	if err != nil || len(configs) != 1 || len(configs["linux/amd64"]) == 0 {
		t.Errorf("%v, %v", configs, err)
	}
	var images []*makeimage.Image
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := makeimage.Build([]makeimage.Layer{{Files: []makeimage.File{{Path: "a"}}}}, makeimage.Options{Architecture: arch})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	digest, err := makeimage.WriteIndex(h.dir, "registry.example/both:1", images...)
	if err != nil {
		t.Fatal(err)
	}
	if configs, err = h.evidence(oci.Descriptor{Digest: digest}, nil).Config(t.Context()); err != nil || len(configs) != 2 || len(configs["linux/arm64"]) == 0 {
		t.Errorf("%v, %v", configs, err)
	}
}

// Signatures may lie in another repository, under tags that begin with something.
func TestElsewhere(t *testing.T) {
	h, elsewhere, k := newHarbour(t), newHarbour(t), newKey(t)
	d := h.push(t, "app")
	same := elsewhere.push(t, "app") // the same bytes
	elsewhere.sign(t, same, k)
	e := h.evidence(d, nil)
	var asked []string
	e.registries = RegistriesFunc(func(_ context.Context, ref oci.Reference, who Asker) (oci.Place, string, error) {
		asked = append(asked, ref.Name()+" "+strings.Join(who.PullSecrets, ","))
		return elsewhere, "", nil
	})
	r := verify.Request{Accept: bundle.Accept{Keys: []key.Public{k.Public()}}}
	if _, err := e.Verify(t.Context(), r); seaworthy.CodeOf(err) != seaworthy.Unsigned {
		t.Errorf("beside the image: %v", err)
	}
	at := policy.Source{Repository: "registry.example/signatures", PullSecrets: []string{"one"}}
	for range 2 {
		if report, err := e.VerifyAt(t.Context(), at, r); err != nil || len(report.Verified) != 1 {
			t.Errorf("elsewhere: %+v, %v", report, err)
		}
	}
	if !cmp.Equal(asked, []string{"registry.example/signatures one"}) {
		t.Errorf("asked %v", asked)
	}
	if _, err := e.VerifyAt(t.Context(), policy.Source{Repository: "!"}, r); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("no repository: %v", err)
	}
	p := prefixed{elsewhere, "x-"}
	elsewhere.tag("x-"+oci.FallbackTag(d.Digest)+".sig", same.Digest)
	if got, _, err := p.Manifest(t.Context(), oci.FallbackTag(d.Digest)+".sig"); err != nil || got.Digest != same.Digest {
		t.Errorf("a tag with a prefix: %v", err)
	}
	if got, _, err := p.Manifest(t.Context(), string(same.Digest)); err != nil || got.Digest != same.Digest {
		t.Errorf("a digest has none: %v", err)
	}
}

// Requests for different signers are different, in every part.
func TestRequestNames(t *testing.T) {
	k, other := newKey(t).Public(), newKey(t).Public()
	seen := map[string]int{}
	for i, r := range []verify.Request{
		{},
		{Accept: bundle.Accept{Keys: []key.Public{k}}},
		{Accept: bundle.Accept{Keys: []key.Public{other}}},
		{Accept: bundle.Accept{Keys: []key.Public{k, other}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", Issuer: "b"}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{SubjectRegexp: "a", Issuer: "b"}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", IssuerRegexp: "b"}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a\" \"b", Issuer: ""}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", Issuer: "b"}, {Subject: "c", Issuer: "d"}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", Issuer: "b", Claims: map[string]string{"github-workflow-ref": "x"}}}}},
		{Accept: bundle.Accept{Identities: []bundle.Identity{{Subject: "a", Issuer: "b", Claims: map[string]string{"github-workflow-sha": "x"}}}}},
		{Options: bundle.Options{PredicateTypes: []string{"a", "b"}}},
		{Options: bundle.Options{PredicateTypes: []string{"a b"}}},
		{Options: bundle.Options{RequireLog: true}},
		{Options: bundle.Options{RequireTimestamp: true}},
		{Options: bundle.Options{UnsafeNoLog: true}},
		{Options: bundle.Options{UnsafeNoSCT: true}},
	} {
		name := requestName(r)
		if j, ok := seen[name]; ok {
			t.Errorf("requests %d and %d have one name", i, j)
		}
		seen[name] = i
	}
}

// put writes a blob or manifest into the harbour.
func (h *harbour) put(t *testing.T, mediaType, body string, manifest bool) oci.Descriptor {
	t.Helper()
	d := oci.Descriptor{MediaType: mediaType, Digest: seaworthy.SHA256([]byte(body)), Size: int64(len(body))}
	var err error
	if manifest {
		err = h.Layout.PutManifest(t.Context(), string(d.Digest), d, []byte(body))
	} else {
		_, err = h.Layout.PutBlob(t.Context(), d, func(context.Context, int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(body)), nil
		}, oci.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What BuildKit writes beside the images of an index is a bill of these images, and of no others.
func TestBillsBesideImages(t *testing.T) {
	h := newHarbour(t)
	image := h.push(t, "app")
	config := h.put(t, oci.MediaTypeConfig, `{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}`, false)
	attested := func(about seaworthy.Digest, name string) oci.Descriptor {
		statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a","digest":{"sha256":%q}}],"predicateType":"https://cyclonedx.org/bom","predicate":%s}`, about.Hex(), cdx(name, "1"))
		layer := h.put(t, intoto.PayloadType, statement, false)
		return h.put(t, oci.MediaTypeManifest, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[`+
			`{"mediaType":%q,"digest":%q,"size":%d,"annotations":{"in-toto.io/predicate-type":"https://cyclonedx.org/bom"}},`+
			`{"mediaType":%q,"digest":%q,"size":%d,"annotations":{"in-toto.io/predicate-type":"https://slsa.dev/provenance/v0.2"}}]}`,
			oci.MediaTypeManifest, oci.MediaTypeConfig, config.Digest, config.Size, intoto.PayloadType, layer.Digest, layer.Size, intoto.PayloadType, layer.Digest, layer.Size), true)
	}
	entry := func(d oci.Descriptor) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":%q}}`,
			oci.MediaTypeManifest, d.Digest, d.Size, image.Digest)
	}
	index := h.put(t, oci.MediaTypeIndex, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}},%s,%s]}`,
		oci.MediaTypeIndex, image.MediaType, image.Digest, image.Size, entry(attested(image.Digest, "inside")), entry(attested(seaworthy.SHA256([]byte("another")), "elsewhere"))), true)
	bills, err := h.evidence(index, nil).Bills(t.Context())
	if err != nil || len(bills) != 2 {
		t.Fatalf("%+v, %v", bills, err)
	}
	if b := bills[0]; b.Bill == nil || b.Bill.Packages[0].Name != "inside" || len(b.Signers) > 0 || b.PredicateType != "https://cyclonedx.org/bom" {
		t.Errorf("%+v", b)
	}
	if b := bills[1]; seaworthy.CodeOf(b.Err) != seaworthy.Mismatch {
		t.Errorf("a bill about another image: %+v", b)
	}
	if configs, err := h.evidence(index, nil).Config(t.Context()); err != nil || len(configs) != 1 {
		t.Errorf("%v, %v", configs, err)
	}
}

// Other advisories are another question.
func TestAdvisoriesAreReplaced(t *testing.T) {
	h := newHarbour(t)
	d := h.push(t, "bad")
	h.attachFile(t, d, "", "application/vnd.cyclonedx+json", cdx("bad", "1.0.0"))
	g := h.gate(t, Options{}, policy.File{Name: "p.yaml", Bytes: []byte("apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: {noFindingAbove: medium}\n")})
	image := repo + "@" + string(d.Digest)
	if v := judge(t, g, image); v.Allowed || !strings.Contains(Brief(&v), "there are no advisories") {
		t.Errorf("without: %s", Brief(&v))
	}
	g.UseAdvisories(&Advisories{DB: database(t)})
	if v := judge(t, g, image); v.Allowed || !strings.Contains(Brief(&v), "GHSA-1") {
		t.Errorf("with: %s", Brief(&v))
	}
	g.UseAdvisories(nil)
	if v := judge(t, g, image); v.Allowed || !strings.Contains(Brief(&v), "there are no advisories") {
		t.Errorf("without again: %s", Brief(&v))
	}
}
