package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/kube"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func TestTheNameSaysWhatIsMeant(t *testing.T) {
	for typed, want := range map[string]string{
		"/usr/bin/seaworthy explain pod/x":         "explain pod/x",
		"/usr/bin/kubectl-seaworthy explain pod/x": "gate explain --kube pod/x",
		"kubectl-seaworthy audit -n prod":          "gate audit -n prod",
		"kubectl-seaworthy version":                "version",
		"kubectl-seaworthy":                        "",
	} {
		if diff := cmp.Diff(strings.Fields(want), append([]string{}, commandLine(strings.Fields(typed))...)); diff != "" {
			t.Errorf("%s: %s", typed, diff)
		}
	}
}

func TestPullSecretsMatchAsTheKubeletHasIt(t *testing.T) {
	for _, c := range []struct {
		secret, image string
		want          int
	}{
		{"ghcr.io", "ghcr.io/acme/app", 0},
		{"https://ghcr.io/v2/", "ghcr.io/acme/app", 0},
		{"ghcr.io/acme", "ghcr.io/acme/app", 4},
		{"ghcr.io/acme/", "ghcr.io/acme", 4},
		{"ghcr.io/acme", "ghcr.io/acme-evil/app", -1},
		{"ghcr.io", "evil-ghcr.io/acme/app", -1},
		{"ghcr.io", "ghcr.io:5000/acme/app", -1},
		{"*.example.com", "eu.example.com/app/x", 0},
		{"*.example.com", "a.b.example.com/app/x", -1},
		{"*.example.com", "example.com/app/x", -1},
		{"[", "ghcr.io/acme/app", -1},
		{"https://index.docker.io/v1/", "index.docker.io/library/nginx", 0},
		{"docker.io", "index.docker.io/library/nginx", 0},
		{"docker.io/library", "index.docker.io/library/nginx", 7},
		{"", "ghcr.io/acme/app", -1},
	} {
		host, repository, _ := strings.Cut(c.image, "/")
		if got := matches(c.secret, host, repository); got != c.want {
			t.Errorf("%q for %s: %d, want %d", c.secret, c.image, got, c.want)
		}
	}
	k := pullKeychain{"r.example": {Username: "a"}, "r.example/team": {Username: "b"}, "other.example": {Username: "c"}}
	for image, want := range map[string]string{"r.example/x": "a", "r.example/team/x": "b", "unknown.example/x": ""} {
		repository, err := name.NewRepository(image)
		if err != nil {
			t.Fatal(err)
		}
		a, err := k.Resolve(repository)
		if err != nil {
			t.Fatal(err)
		}
		config, err := a.Authorization()
		if err != nil || config.Username != want {
			t.Errorf("%s: %q %v", image, config.Username, err)
		}
	}
}

// What one namespace may see is not told to another; a cluster that does not answer leaves what was known.
func TestLoginsAreKeptApart(t *testing.T) {
	asked, down := 0, false
	own, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &pullRegistries{
		own: own, byAsker: map[string]askerLogins{}, byClass: map[string]*oci.Client{},
		open: func(authn.Keychain) (*oci.Client, error) { return oci.NewClient(oci.Options{}) },
		logins: func(_ context.Context, namespace, _ string, _ []string) (kube.Logins, error) {
			asked++
			if down {
				return kube.Logins{}, seaworthy.Errorf(seaworthy.Unavailable, "no answer")
			}
			if namespace == "none" {
				return kube.Logins{}, nil
			}
			return kube.Logins{Class: "of " + strings.TrimSuffix(namespace, "-too"), ByRegistry: map[string]kube.Login{"r.example": {Username: "x"}}}, nil
		},
	}
	defer r.close()
	ref, err := oci.ParseReference("r.example/app:1")
	if err != nil {
		t.Fatal(err)
	}
	classOf := func(who admit.Asker) (string, error) {
		_, class, err := r.Open(t.Context(), ref, who)
		return class, err
	}
	for who, want := range map[string]string{"": "", "none": "", "a": "of a", "a-too": "of a", "b": "of b"} {
		if class, err := classOf(admit.Asker{Namespace: who}); class != want || err != nil {
			t.Errorf("%q: class %q %v", who, class, err)
		}
	}
	before := asked
	if _, err := classOf(admit.Asker{Namespace: "a"}); err != nil || asked != before {
		t.Errorf("pull secrets are read for every image: %v", err)
	}
	if len(r.byClass) != 2 {
		t.Errorf("%d clients for two kinds of credentials", len(r.byClass))
	}
	down = true
	for key, known := range r.byAsker {
		known.until = known.until.Add(-2 * loginTime)
		r.byAsker[key] = known
	}
	if class, err := classOf(admit.Asker{Namespace: "b"}); class != "of b" || err != nil {
		t.Errorf("what was known: %q %v", class, err)
	}
	if _, err := classOf(admit.Asker{Namespace: "c"}); seaworthy.CodeOf(err) != seaworthy.Unavailable {
		t.Errorf("what was never known: %v", err)
	}
}
