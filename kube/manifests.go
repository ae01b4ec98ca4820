package kube

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/seaworthy-dev/seaworthy"
)

// The manifests are the templates of the Helm chart, so that there is one source. They use of Helm's language only what
// this file can do as well: .Values, .Release.Namespace, if, range, quote, toJson and required.
//
//go:embed chart
var chart embed.FS

// parts are the templates, in the order in which a cluster wants them.
var parts = []string{
	"namespace", "serviceaccount", "clusterrole", "clusterrolebinding", "role", "rolebinding", "service", "deployment", "poddisruptionbudget",
}

// DefaultNamespace is where the gate is installed.
const DefaultNamespace = "seaworthy-system"

// Values are the chart's values as they are without being told otherwise; see Chart's values.yaml.
func Values() (map[string]any, error) {
	text, err := chart.ReadFile("chart/values.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		return nil, fmt.Errorf("reading the chart's values: %w", err)
	}
	return values, nil
}

// Manifests writes what installs the gate in a namespace, as YAML for kubectl apply, without CRDs. set are values other
// than the chart's own. The webhooks are not among it: the gate registers itself when it is ready. Errors: Usage.
func Manifests(namespace string, set map[string]any) ([]byte, error) {
	values, err := Values()
	if err != nil {
		return nil, err
	}
	for name, value := range set {
		if _, ok := values[name]; !ok {
			return nil, seaworthy.Errorf(seaworthy.Usage, "there is no value %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
		}
		values[name] = value
	}
	data := map[string]any{"Values": values, "Release": map[string]any{"Namespace": namespace, "Name": "seaworthy-gate"}}
	var out bytes.Buffer
	for _, part := range parts {
		text, err := chart.ReadFile("chart/templates/" + part + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		t, err := template.New(part).Option("missingkey=error").Funcs(template.FuncMap{"quote": quote, "toJson": toJSON, "required": required}).Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
		var made bytes.Buffer
		if err := t.Execute(&made, data); err != nil {
			var e *seaworthy.Error
			if errors.As(err, &e) {
				return nil, e
			}
			return nil, fmt.Errorf("writing the manifests: %w", err)
		}
		if body := strings.TrimSpace(made.String()); body != "" {
			fmt.Fprintf(&out, "---\n%s\n", body)
		}
	}
	return out.Bytes(), nil
}

// quote is Helm's: as a string in double quotes, or nothing at all for nothing.
func quote(v any) string { return strconv.Quote(fmt.Sprint(v)) }

func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

func required(why string, v any) (any, error) {
	if v == nil || v == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%s", why)
	}
	return v, nil
}

// Chart is the Helm chart: by path in it, the text of each file.
func Chart() (map[string][]byte, error) {
	crds, err := CRDs()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"crds/crds.yaml": crds}
	files := []string{"Chart.yaml", "values.yaml"}
	for _, part := range parts {
		files = append(files, "templates/"+part+".yaml")
	}
	for _, name := range files {
		if out[name], err = chart.ReadFile(path.Join("chart", name)); err != nil {
			return nil, fmt.Errorf("reading the chart: %w", err)
		}
	}
	return out, nil
}
