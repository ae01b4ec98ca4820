//go:build kube

package kube

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Who may ask the API server, and how. The gate is asked for as the service account that the manifests make, so that
// it may do exactly what their RBAC lets it.
const (
	adminToken = "tok-admin"
	gateToken  = "tok-gate"
	gateUser   = "system:serviceaccount:seaworthy-system:seaworthy-gate"
)

// attempts is how often a cluster is started on other ports, when somebody took the ports meanwhile.
const attempts = 3

// cluster is an API server and its etcd, on loopback.
type cluster struct {
	dir    string // what they keep, and what they said
	tools  string // where the programs are
	url    string // of the API server
	etcd   *process
	server *process
	flags  []string // of the API server
}

// process is a program of the cluster that runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

// startCluster starts etcd and an API server that keep everything in dir, and returns when the API server is ready.
func startCluster(ctx context.Context, tools, dir string) (*cluster, error) {
	var err error
	for try := range attempts {
		c := &cluster{dir: filepath.Join(dir, fmt.Sprint("try", try)), tools: tools}
		if err = c.start(ctx); err == nil {
			return c, nil
		}
		c.stop()
	}
	return nil, err
}

func (c *cluster) start(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	clients, peers := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	c.url = "https://127.0.0.1:" + ports[2]
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	tokens := fmt.Sprintf("%s,admin,admin,system:masters\n%s,%s,gate,\"system:serviceaccounts,system:authenticated\"\n", adminToken, gateToken, gateUser)
	for name, body := range map[string][]byte{
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens.csv": []byte(tokens),
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), body, 0o600); err != nil {
			return err
		}
	}
	if c.etcd, err = c.run("etcd", "--data-dir="+filepath.Join(c.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+clients, "--advertise-client-urls="+clients, "--listen-peer-urls="+peers,
		"--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers, "--log-level=warn"); err != nil {
		return err
	}
	c.flags = []string{
		"--etcd-servers=" + clients, "--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", "--secure-port=" + ports[2], "--cert-dir=" + filepath.Join(c.dir, "certs"),
		"--service-account-key-file=" + filepath.Join(c.dir, "sa.key"), "--service-account-signing-key-file=" + filepath.Join(c.dir, "sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--token-auth-file=" + filepath.Join(c.dir, "tokens.csv"), "--endpoint-reconciler-type=none",
		"--disable-admission-plugins=ServiceAccount", "--allow-privileged=true",
	}
	if c.server, err = c.run("kube-apiserver", c.flags...); err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, c.said("etcd"), c.said("kube-apiserver"))
	}
	return errors.Join(c.writeKubeconfig("admin", adminToken), c.writeKubeconfig("gate", gateToken))
}

// run starts a program of the cluster; what it says goes to a file.
func (c *cluster) run(name string, args ...string) (*process, error) {
	out, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(c.tools, name), args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, c.dir
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{cmd, make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	return p, nil
}

// restart kills the API server and starts it again, at the same address and with what etcd kept.
func (c *cluster) restart(ctx context.Context) error {
	c.server.kill()
	var err error
	if c.server, err = c.run("kube-apiserver", c.flags...); err != nil {
		return err
	}
	return c.ready(ctx)
}

// ready asks the API server until it says that it is ready; it tells nobody when it becomes so.
func (c *cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	// Whose certificate it is does not matter for this question, and the file is not there yet.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec
	defer client.CloseIdleConnections()
	for {
		last := c.askReady(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-c.etcd.ended:
			return fmt.Errorf("etcd ended: %w", last)
		case <-c.server.ended:
			return fmt.Errorf("the API server ended: %w", last)
		case <-ctx.Done():
			return fmt.Errorf("the API server does not become ready: %w", last)
		}
	}
}

func (c *cluster) askReady(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/readyz", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return nil
}

// said is the end of what a program of the cluster wrote.
func (c *cluster) said(name string) string {
	b, _ := os.ReadFile(filepath.Join(c.dir, name+".log"))
	return string(b[max(0, len(b)-4000):])
}

func (c *cluster) kubeconfig(who string) string { return filepath.Join(c.dir, who+".kubeconfig") }

func (c *cluster) writeKubeconfig(who, token string) error {
	return os.WriteFile(c.kubeconfig(who), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: %q, certificate-authority: %q}
users:
- name: %[3]s
  user: {token: %[4]s}
contexts:
- name: test
  context: {cluster: test, user: %[3]s}
current-context: test
`, c.url, filepath.Join(c.dir, "certs", "apiserver.crt"), who, token), 0o600)
}

// stop ends the API server, then etcd.
func (c *cluster) stop() {
	for _, p := range []*process{c.server, c.etcd} {
		if p != nil {
			p.kill() // nothing that they keep is wanted afterwards
		}
	}
}

// kill ends it at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// kubectl runs kubectl as the administrator and returns what it printed, stderr after stdout.
func (c *cluster) kubectl(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.tools, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig("admin"), "HOME="+c.dir)
	cmd.Dir = c.dir
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &talk
	err := cmd.Run()
	return out.String() + talk.String(), err
}

// must runs kubectl and wants it to succeed.
func (c *cluster) must(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, err := c.kubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused runs kubectl and wants it to fail, saying every one of the words.
func (c *cluster) refused(t testing.TB, words []string, stdin string, args ...string) string {
	t.Helper()
	out, err := c.kubectl(t, stdin, args...)
	if err == nil {
		t.Fatalf("kubectl %s was not refused:\n%s", strings.Join(args, " "), out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("kubectl %s: the refusal does not say %q:\n%s", strings.Join(args, " "), w, out)
		}
	}
	return out
}

// until asks again and again until ask says that it is so: for what the API server does when it gets to it, and tells
// nobody. said is what to report when it never is.
func until(t testing.TB, what string, ask func() (is bool, said string)) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		is, said := ask()
		if is {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s; at last: %s", what, said)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// inForce waits until the API server refuses object.
func (c *cluster) inForce(t testing.TB, namespace, object string) {
	t.Helper()
	until(t, "the policy is in force", func() (bool, string) {
		out, err := c.kubectl(t, object, "-n", namespace, "create", "--dry-run=server", "-f", "-")
		return err != nil, out
	})
}

// namespace makes a namespace with labels.
func (c *cluster) namespace(t testing.TB, name string, labels ...string) {
	t.Helper()
	c.must(t, "", "create", "namespace", name)
	if len(labels) > 0 {
		c.must(t, "", append([]string{"label", "namespace", name}, labels...)...)
	}
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all are held until all are found, so that they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
