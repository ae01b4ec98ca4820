package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/keys"
)

// staticPolicy passes or fails every image, without asking anybody.
func staticPolicy(t *testing.T, dir, action string) {
	t.Helper()
	text := "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: everything}\nspec:\n  images: [{glob: '**'}]\n  authorities: [{static: {action: " + action + "}}]\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Written beside it and moved, as whoever watches the folder wants.
	if err := os.WriteFile(filepath.Join(dir, ".next"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, "p.yaml")); err != nil {
		t.Fatal(err)
	}
}

// podReview is a review of a pod with one image, by a digest that nobody has to resolve.
func podReview() string {
	image := "registry.example/app@" + string(seaworthy.SHA256(nil))
	return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","namespace":"prod",` +
		`"resource":{"group":"","version":"v1","resource":"pods"},"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"a","image":"` + image + `"}]}}}}`
}

func post(t *testing.T, client *http.Client, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// gate serve, as a cluster sees it: the authority it prints vouches for it, policies that change are in force, those that
// are not sound are not, decisions are kept, and it stops when it is told to.
func TestGateServes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies")
	staticPolicy(t, policies, "pass")
	cmd := exec.Command("seaworthy", "gate", "serve", "--policy-dir", policies, "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, "gate"),
		"--look-every", "20ms", "--store", filepath.Join(dir, "graph"))
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	said := bufio.NewScanner(stdout)
	said.Scan()
	base := said.Text()
	said.Scan()
	bundle, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(said.Text(), "caBundle: "))
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(bundle) || !strings.HasPrefix(base, "https://127.0.0.1:") {
		t.Fatalf("it says %q, %q", base, said.Text())
	}
	log := bufio.NewScanner(stderr)
	waitFor := func(text string) {
		t.Helper()
		for log.Scan() {
			if strings.Contains(log.Text(), text) {
				return
			}
		}
		t.Fatalf("it does not say %q", text)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	allowed := func(want bool) {
		t.Helper()
		status, answer := post(t, client, base+"/validate?timeout=5s", podReview())
		if status != http.StatusOK || strings.Contains(answer, `"allowed":true`) != want {
			t.Fatalf("%d %s", status, answer)
		}
	}
	waitFor("with 1 policies")
	allowed(true)
	staticPolicy(t, policies, "fail")
	waitFor("the policies changed, and are in force")
	allowed(false)
	staticPolicy(t, policies, "nonsense")
	waitFor("are not sound: the last that were stay in force")
	allowed(false)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.Scan() {
		t.Logf("%s", log.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	find := exec.Command("seaworthy", "graph", "stats", "--store", filepath.Join(dir, "graph"), "-o", "json")
	find.Env = cmd.Env
	out, err := find.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"documents": 2,`) {
		t.Errorf("the decisions are not in the graph: %s, %v", out, err)
	}
}

// Up with a folder of policies is a gate, too; what it decides is in its graph.
func TestUpIsAGate(t *testing.T) {
	policies := filepath.Join(t.TempDir(), "policies")
	staticPolicy(t, policies, "fail")
	p := openPort(t, t.TempDir(), "127.0.0.1:0", graphRole, func(o *serveFlags) { o.gate = harbourGateFlags{policies: policies, unbound: "deny"} })
	status, answer := post(t, http.DefaultClient, p.url+"/validate", podReview())
	if status != http.StatusOK || !strings.Contains(answer, `"allowed":false`) {
		t.Errorf("%d %s", status, answer)
	}
	for path, says := range map[string]string{
		"/api/gate/v1/policies":  `"name":"everything"`,
		"/api/gate/v1/decisions": `"allowed":false`,
		"/api/gate/v1/fleet":     `"workloads":["pod/web"]`,
	} {
		if status, body := p.get(t, path); status != http.StatusOK || !strings.Contains(body, says) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	// Closing hands over what is still to be recorded; the graph is opened again to look.
	dir := p.dir
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	p = openPort(t, dir, "127.0.0.1:0", graphRole)
	if status, body := p.get(t, "/api/graph/v1/documents?kind=verdict"); status != http.StatusOK || !strings.Contains(body, `"kind":"verdict"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.get(t, "/api/gate/v1/policies"); status == http.StatusOK {
		t.Error("a gate without policies")
	}
	if err := mayJudge(serveFlags{addr: ":80", gate: harbourGateFlags{policies: "p"}}, ""); seaworthy.CodeOf(err) != seaworthy.Forbidden {
		t.Errorf("in the clear: %v", err)
	}
}

// The certificate is renewed before it ends, by the same authority, also after a restart.
func TestGateCertificates(t *testing.T) {
	dir, err := keys.Open(filepath.Join(t.TempDir(), "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	open := func() *gateCertificates {
		t.Helper()
		c, err := openGateCertificates(dir, []string{"gate.ns.svc", "127.0.0.1"}, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	serial := func() string {
		t.Helper()
		pair, err := c.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(c.Bundle())
		for _, name := range []string{"gate.ns.svc", "127.0.0.1"} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
				t.Fatalf("for %s at %s: %v", name, now, err)
			}
		}
		if pair.Leaf.IsCA || pair.Leaf.Subject.String() == pair.Leaf.Issuer.String() {
			t.Error("the certificate looks like an authority's")
		}
		return pair.Leaf.SerialNumber.String()
	}
	first, bundle := serial(), string(c.Bundle())
	now = now.Add(gateLife / 2)
	if serial() != first {
		t.Error("renewed before it was time")
	}
	now = now.Add(gateLife / 4)
	second := serial()
	if second == first {
		t.Error("not renewed")
	}
	for range 20 {
		now = now.Add(gateLife)
		serial()
	}
	c = open()
	serial()
	if string(c.Bundle()) != bundle {
		t.Error("the cluster would have to be told of another authority")
	}
	if _, err := openGateCertificates(dir, nil, time.Now); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("without a name: %v", err)
	}
}

// What would let somebody on the way decide, or names nothing that can be served, is refused before anything is.
func TestGateServeRefuses(t *testing.T) {
	policies := filepath.Join(t.TempDir(), "policies")
	staticPolicy(t, policies, "pass")
	for name, c := range map[string]struct {
		args []string
		code seaworthy.Code
	}{
		"plain HTTP to everybody": {[]string{"--addr", ":0", "--plain-http"}, seaworthy.Forbidden},
		"plain HTTP to a network": {[]string{"--addr", "192.0.2.1:0", "--plain-http"}, seaworthy.Forbidden},
		"no address":              {[]string{"--addr", "8443"}, seaworthy.Usage},
		"no certificate":          {[]string{"--addr", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.key"}, seaworthy.Usage},
		"a certificate and no key": {
			[]string{"--tls-cert", "none.pem"}, seaworthy.Usage,
		},
		"no such root": {[]string{"--addr", "127.0.0.1:0", "--trusted-root", filepath.Join(policies, "none")}, seaworthy.NotFound},
	} {
		a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
		home := t.TempDir()
		a.getenv = func(name string) string {
			if name == "SEAWORTHY_DATA_DIR" || name == "SEAWORTHY_CACHE_DIR" {
				return home
			}
			return ""
		}
		root := newRoot(a)
		root.SetArgs(append([]string{"gate", "serve", "--policy-dir", policies, "--dir", home}, c.args...))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err := a.classify(ctx, root.ExecuteContext(ctx))
		cancel()
		if seaworthy.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
