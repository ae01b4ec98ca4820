package kube

import (
	"bytes"
	"embed"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"
)

// Kind is a kind of object that holds policy.
type Kind struct {
	Group    string
	Versions []string // that the API server serves; objects are read in the first that it does
	Resource string   // plural, as in addresses
	Name     string   // "ClusterImagePolicy"
	// Bare says that the status is Ratify's: "issuccess", "error" and "brieferror", and no conditions.
	Bare bool
}

// Kinds are the kinds of object that hold policy, in the order in which they are read: what others refer to first.
// All are of the cluster as a whole.
var Kinds = []Kind{
	{Group: "policy.sigstore.dev", Versions: []string{"v1alpha1"}, Resource: "trustroots", Name: "TrustRoot"},
	{Group: "policy.sigstore.dev", Versions: []string{"v1beta1", "v1alpha1"}, Resource: "clusterimagepolicies", Name: "ClusterImagePolicy"},
	{Group: "seaworthy.dev", Versions: []string{"v1alpha1"}, Resource: "policies", Name: "Policy"},
	{Group: "config.ratify.deislabs.io", Versions: []string{"v1beta1", "v1alpha1"}, Resource: "verifiers", Name: "Verifier", Bare: true},
}

//go:embed crd/*.yaml
var definitions embed.FS

// CRDs returns the definitions of all Kinds, as YAML documents for kubectl apply. A version is converted into another
// by its name alone. No field is dropped by the API server: one that is misspelt reaches the gate, which refuses it.
func CRDs() ([]byte, error) {
	var out bytes.Buffer
	for _, k := range Kinds {
		crd, err := k.definition()
		if err != nil {
			return nil, err
		}
		text, err := yaml.Marshal(crd)
		if err != nil {
			return nil, fmt.Errorf("writing the definition of %s: %w", k.Name, err)
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return out.Bytes(), nil
}

func (k Kind) definition() (map[string]any, error) {
	text, err := definitions.ReadFile("crd/" + k.Resource + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the definition of %s: %w", k.Name, err)
	}
	var crd map[string]any
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		return nil, fmt.Errorf("reading the definition of %s: %w", k.Name, err)
	}
	spec, _ := crd["spec"].(map[string]any)
	written, _ := spec["versions"].([]any)
	if len(written) != 1 {
		return nil, fmt.Errorf("the definition of %s has %d versions written out, not one", k.Name, len(written))
	}
	first, _ := written[0].(map[string]any)
	schema, _ := first["schema"].(map[string]any)
	keepUnknown(schema["openAPIV3Schema"])
	var versions []any
	for i, name := range k.Versions {
		v := map[string]any{}
		for field, value := range first {
			v[field] = value
		}
		v["name"], v["served"], v["storage"] = name, true, i == 0
		versions = append(versions, v)
	}
	slices.Reverse(versions) // v1alpha1 first, as people list them
	spec["versions"] = versions
	spec["conversion"] = map[string]any{"strategy": "None"}
	return crd, nil
}

// keepUnknown makes every object of a schema keep fields that the schema does not name. The schemas are our own, so
// their depth is known.
func keepUnknown(schema any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return
	}
	properties, _ := s["properties"].(map[string]any)
	if s["type"] == "object" && s["additionalProperties"] == nil {
		s["x-kubernetes-preserve-unknown-fields"] = true
	}
	for _, p := range properties {
		keepUnknown(p)
	}
	keepUnknown(s["items"])
}
