package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/seaworthy-dev/seaworthy"
)

// BackstopOptions say what guards a cluster when the gate does not.
type BackstopOptions struct {
	Name      string // of the policy and its binding; "" is "seaworthy-backstop"
	Namespace string // the gate's own, which is exempt
	// Registries are hosts ("ghcr.io"), or hosts with the beginning of a path ("ghcr.io/acme", "ghcr.io/acme/app"),
	// from which images may come. None: any.
	Registries []string
	Namespaces Watch // "" is OptIn
	WarnOnly   bool  // warns instead of refusing
}

// maxRegistries is how many registries a backstop may allow: the API server limits what an expression may cost.
const maxRegistries = 100

// Backstop writes a ValidatingAdmissionPolicy and its binding, as YAML for kubectl apply. The API server itself then
// refuses what names an image by tag alone, or one from elsewhere, also while no gate answers: in every container,
// init container, ephemeral container and image volume of the resources in Workloads. An update is judged by the images
// that it brings. Errors: Usage.
func Backstop(o BackstopOptions) ([]byte, error) {
	if o.Name == "" {
		o.Name = "seaworthy-backstop"
	}
	if o.Namespaces == "" {
		o.Namespaces = OptIn
	}
	if o.Namespaces != OptIn && o.Namespaces != OptOut {
		return nil, seaworthy.Errorf(seaworthy.Usage, "namespaces %q: it is %s or %s", o.Namespaces, OptIn, OptOut)
	}
	validations := []any{map[string]any{
		"expression": `variables.images.all(i, i.matches("` + pinned + `"))`,
		"messageExpression": `"[seaworthy] backstop: image " + variables.images.filter(i, !i.matches("` + pinned +
			`"))[0] + " is not pinned by digest, and no gate pinned it: name it as repository@sha256:…"`,
		"reason": "Forbidden",
	}}
	variables := []any{
		map[string]any{"name": "before", "expression": `oldObject == null ? [] : ` + imagesOf("oldObject")},
		map[string]any{"name": "images", "expression": imagesOf("object") + `.filter(i, !(i in variables.before))`},
	}
	if len(o.Registries) > 0 {
		expression, err := comesFrom(o.Registries)
		if err != nil {
			return nil, err
		}
		variables = append(variables, map[string]any{"name": "elsewhere", "expression": `variables.images.map(i, ` + qualified + `).filter(i, !(` + expression + `))`})
		validations = append(validations, map[string]any{
			"expression":        `size(variables.elsewhere) == 0`,
			"messageExpression": `"[seaworthy] backstop: image " + variables.elsewhere[0] + " comes from a registry that is not allowed"`,
			"reason":            "Forbidden",
		})
	}
	var rules []any
	for _, w := range Workloads() {
		rules = append(rules, rule(w.Group, w.Versions, w.Resources, "Namespaced"))
	}
	labels := map[string]any{"app.kubernetes.io/name": "seaworthy-gate"}
	policy := map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
		"metadata": map[string]any{"name": o.Name, "labels": labels},
		"spec": map[string]any{
			"failurePolicy": "Fail", "matchConstraints": map[string]any{"matchPolicy": "Equivalent", "resourceRules": rules},
			"variables": variables, "validations": validations,
		},
	}
	g := Registrar{r: Registration{Namespace: o.Namespace, Namespaces: o.Namespaces}}
	action := "Deny"
	if o.WarnOnly {
		action = "Warn"
	}
	binding := map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
		"metadata": map[string]any{"name": o.Name, "labels": labels},
		"spec": map[string]any{
			"policyName": o.Name, "validationActions": []any{action}, "matchResources": map[string]any{"namespaceSelector": g.selector()},
		},
	}
	return documents(policy, binding)
}

// documents writes objects as YAML documents.
func documents(objects ...map[string]any) ([]byte, error) {
	var out bytes.Buffer
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Internal, "writing a manifest")
		}
		fmt.Fprintf(&out, "---\n%s", text)
	}
	return out.Bytes(), nil
}

// pinned is a regular expression (RE2) of images that name their digest.
const pinned = `@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`

// imagesOf is a CEL expression: the names of all images in an object of one of Workloads. dyn keeps the API server from
// checking it against every kind; the kinds differ in where the pod is.
func imagesOf(object string) string {
	pod := fmt.Sprintf(`(%[1]s.kind == "Pod" ? dyn(%[1]s).spec : %[1]s.kind == "PodTemplate" ? dyn(%[1]s).template.spec : `+
		`%[1]s.kind == "CronJob" ? dyn(%[1]s).spec.jobTemplate.spec.template.spec : dyn(%[1]s).spec.template.spec)`, object)
	parts := make([]string, 0, 4)
	for _, field := range []string{"containers", "initContainers", "ephemeralContainers"} {
		parts = append(parts, fmt.Sprintf(`(has(p.%[1]s) ? p.%[1]s : []).filter(c, has(c.image)).map(c, c.image)`, field))
	}
	parts = append(parts, `(has(p.volumes) ? p.volumes : []).filter(v, has(v.image) && has(v.image.reference)).map(v, v.image.reference)`)
	// A ReplicationController may have no template.
	return fmt.Sprintf(`[%s].map(p, %s)[0].filter(i, i != "")`, pod, strings.Join(parts, " + "))
}

// qualified is a CEL expression: the image i with its registry, as Docker and the kubelet would complete it.
const qualified = `!i.contains("/") ? "docker.io/library/" + i : ` +
	`i.startsWith("index.docker.io/") ? i.replace("index.docker.io/", "docker.io/", 1) : ` +
	`i.split("/")[0].contains(".") || i.split("/")[0].contains(":") || i.split("/")[0] == "localhost" ? i : "docker.io/" + i`

// comesFrom is a CEL expression: whether the qualified image i comes from one of the registries.
func comesFrom(registries []string) (string, error) {
	if len(registries) > maxRegistries {
		return "", seaworthy.Errorf(seaworthy.TooLarge, "%d registries: at most %d can be checked", len(registries), maxRegistries)
	}
	var prefixes []string
	for _, r := range registries {
		r = strings.TrimSuffix(strings.TrimSpace(r), "/")
		host, _, path := strings.Cut(r, "/")
		if host == "index.docker.io" {
			r = strings.Replace(r, host, "docker.io", 1)
		}
		if host == "" || strings.ContainsAny(r, "@*\"\\ \t\n'") || !strings.ContainsAny(host, ".:") && host != "localhost" {
			return "", seaworthy.Errorf(seaworthy.Usage, "%q is no registry", r).WithHint("name a host and, if you want, the beginning of a path: ghcr.io/acme")
		}
		prefixes = append(prefixes, r+"/")
		if path { // it may be the repository itself
			prefixes = append(prefixes, r+"@", r+":")
		}
	}
	list, err := json.Marshal(prefixes)
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Internal, "writing the registries")
	}
	return string(list) + `.exists(p, i.startsWith(p))`, nil
}
