package kube

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seaworthy-dev/seaworthy"
)

// maxPullSecrets is how many secrets of one pod are looked at.
const maxPullSecrets = 32

var serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}

// Login is what a pull secret says to one registry.
type Login struct {
	Username, Password string
	Identity           string // an identity token, instead of the two
}

// Logins is what a pod's pull secrets say: by registry, as the secret names it ("ghcr.io", "https://index.docker.io/v1/").
type Logins struct {
	ByRegistry map[string]Login
	// Class names them without giving them away: two pods with the same logins have the same.
	Class string
}

// PullLogins reads the pull secrets of a pod and of its service account ("" is "default"), as the kubelet would. What is
// not there or not a pull secret is passed over, as the kubelet does. Errors: Forbidden, when the gate may not see
// them, and Unavailable.
func (c *Cluster) PullLogins(ctx context.Context, namespace, serviceAccount string, names []string) (Logins, error) {
	if serviceAccount == "" {
		serviceAccount = "default"
	}
	names = slices.Clone(names)
	u, err := c.once(ctx, reference{serviceAccounts, namespace, serviceAccount})
	switch {
	case err == nil:
		of, _, _ := unstructured.NestedSlice(u.Object, "imagePullSecrets")
		for _, s := range of {
			if m, ok := s.(map[string]any); ok {
				name, _ := m["name"].(string)
				names = append(names, name)
			}
		}
	case seaworthy.CodeOf(err) != seaworthy.NotFound:
		return Logins{}, err
	}
	out := Logins{ByRegistry: map[string]Login{}}
	for i, name := range names {
		if name == "" || slices.Contains(names[:i], name) || i >= maxPullSecrets {
			continue
		}
		data, err := secret(ctx, c.once, namespace, name)
		if code := seaworthy.CodeOf(err); code == seaworthy.NotFound || code == seaworthy.Invalid {
			continue
		}
		if err != nil {
			return Logins{}, err
		}
		for registry, login := range logins(data) {
			if _, ok := out.ByRegistry[registry]; !ok { // the first that knows a registry counts
				out.ByRegistry[registry] = login
			}
		}
	}
	out.Class = class(out.ByRegistry)
	return out, nil
}

// logins reads a pull secret: of type kubernetes.io/dockerconfigjson, or the older kubernetes.io/dockercfg.
func logins(data map[string][]byte) map[string]Login {
	type entry struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	}
	var config struct {
		Auths map[string]entry `json:"auths"`
	}
	if raw, ok := data[".dockerconfigjson"]; ok {
		if json.Unmarshal(raw, &config) != nil {
			return nil
		}
	} else if raw, ok := data[".dockercfg"]; ok && json.Unmarshal(raw, &config.Auths) != nil {
		return nil
	}
	out := map[string]Login{}
	for registry, e := range config.Auths {
		login := Login{Username: e.Username, Password: e.Password, Identity: e.IdentityToken}
		if raw, err := base64.StdEncoding.DecodeString(e.Auth); err == nil && e.Auth != "" {
			login.Username, login.Password, _ = strings.Cut(string(raw), ":")
		}
		if login != (Login{}) {
			out[registry] = login
		}
	}
	return out
}

// class is a digest of logins. "" is that of none.
func class(of map[string]Login) string {
	if len(of) == 0 {
		return ""
	}
	text, err := json.Marshal(of) // maps are written in the order of their keys
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
