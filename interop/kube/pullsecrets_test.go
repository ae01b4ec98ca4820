//go:build kube

package kube

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// A registry that wants a password is asked with the pull secret of whoever wants to run the image, and what one
// namespace may see is not told to another.
func TestPullSecrets(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("open"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "users"), "sailor:"+string(hash)+"\n")
	writeFile(t, filepath.Join(dir, "access.yaml"), "users: users\nrules:\n- repositories: [\"**\"]\n  users: [sailor]\n  actions: [pull, push]\n")
	private, err := serve(sea.bin, sea.dir, "registry", "serve", "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, "registry"), "--auth", filepath.Join(dir, "access.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(private.kill)
	host, err := private.says(`registry is at (127\.0\.0\.1:\d+)`)
	if err != nil {
		t.Fatal(err)
	}
	// The one who pushes and signs has a login of docker's; the gate, which is started with another home, has none.
	owner := &world{dir: t.TempDir(), bin: sea.bin, host: host}
	writeDocker(t, owner.dir, host, "sailor", "open")
	image, digest := owner.image(t, "private/app", "1", "private")
	owner.run(t, "", "sign", image, "--key", filepath.Join(sea.dir, "release.key"))

	policies := &world{dir: sea.dir, host: host}
	shared.must(t, policies.cip(t, "private", "private/"), "apply", "-f", "-")
	sea.gate(t, "--pull-secrets")
	shared.namespace(t, "private", judged)
	shared.namespace(t, "private-pod", judged)
	shared.namespace(t, "private-none", judged)
	for _, namespace := range []string{"private", "private-pod"} {
		shared.must(t, "", "-n", namespace, "create", "secret", "docker-registry", "login", "--docker-server="+host, "--docker-username=sailor", "--docker-password=open")
	}
	shared.must(t, `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"},"imagePullSecrets":[{"name":"login"},{"name":"not-there"}]}`,
		"-n", "private", "apply", "-f", "-")

	with := func(secrets string) string {
		return pod("p", `{"imagePullSecrets":[`+secrets+`],"containers":[{"name":"a","image":"`+image+`"}]}`)
	}
	shared.inForce(t, "private-none", with(""))
	shared.must(t, with(""), "-n", "private", "create", "-f", "-") // by its service account
	if got := shared.image(t, "private", "pod/p", ".spec.containers[0].image"); got != image+"@"+digest {
		t.Errorf("image %q", got)
	}
	shared.must(t, with(`{"name":"login"}`), "-n", "private-pod", "create", "-f", "-")
	t.Log(shared.refused(t, []string{"private"}, with(""), "-n", "private-none", "create", "-f", "-"))
	// Also when it is named by the digest that others have seen.
	shared.refused(t, []string{"private"}, pod("p", `{"containers":[{"name":"a","image":"`+image+"@"+digest+`"}]}`), "-n", "private-none", "create", "-f", "-")
}

// writeDocker writes a login as docker does.
func writeDocker(t testing.TB, home, host, user, password string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(home, ".docker", "config.json"), `{"auths":{"`+host+`":{"username":"`+user+`","password":"`+password+`"}}}`)
}
