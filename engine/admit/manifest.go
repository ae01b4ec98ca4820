package admit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of a file with manifests.
const (
	MaxManifest  = 16 << 20 // 16 MiB
	maxDocuments = 2000     // in one file, those of lists too
)

// ReadManifests reads what kubectl apply reads: YAML with one or more documents, or JSON; lists are taken apart.
// Objects that run no images are there too, with Known false. Errors: Invalid, TooLarge.
func ReadManifests(name string, b []byte, more ...Kind) ([]*Workload, error) {
	if len(b) > MaxManifest {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", name, MaxManifest)
	}
	objects, err := yamlDocuments(b)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", name)
	}
	var out []*Workload
	for i := 0; i < len(objects); i++ {
		if len(objects) > maxDocuments {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d objects", name, maxDocuments)
		}
		var list struct {
			Kind  string           `json:"kind"`
			Items []jsontext.Value `json:"items"`
		}
		if err := json.Unmarshal(objects[i], &list); err == nil && strings.HasSuffix(list.Kind, "List") && list.Items != nil {
			for _, item := range list.Items {
				objects = append(objects, item)
			}
			continue
		}
		w, err := Extract(objects[i], more...)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q, document %d", name, i+1)
		}
		if w.Kind == "" {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q, document %d: it has no kind", name, i+1).
				WithHint("a manifest is what kubectl apply -f takes")
		}
		out = append(out, w)
	}
	return out, nil
}

// yamlDocuments turns documents into JSON; those that are empty are left out.
func yamlDocuments(b []byte) ([][]byte, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var out [][]byte
	for n := 1; ; n++ {
		var value any
		err := d.Decode(&value)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, seaworthy.Errorf(seaworthy.Invalid, "document %d is no YAML: %w", n, err)
		case value == nil:
			continue
		case len(out) == maxDocuments:
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "more than %d documents", maxDocuments)
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "document %d: %w", n, err)
		}
		out = append(out, raw)
	}
}

// resources are the plural names of the kinds, as requests have them.
var resources = map[string]string{
	"Pod": "pods", "PodTemplate": "podtemplates", "ReplicationController": "replicationcontrollers", "ReplicaSet": "replicasets",
	"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Job": "jobs", "CronJob": "cronjobs",
}

// RequestFor is the request that a cluster makes when an object is created, for who has no cluster. namespace is that
// of objects that name none.
func RequestFor(w *Workload, namespace string) *Request {
	group, version, ok := strings.Cut(w.APIVersion, "/")
	if !ok {
		group, version = "", w.APIVersion
	}
	resource := resources[w.Kind]
	if resource == "" {
		resource = strings.ToLower(w.Kind) + "s"
	}
	if w.Namespace != "" {
		namespace = w.Namespace
	}
	return &Request{Operation: Create, Group: group, Version: version, Resource: resource, Namespace: namespace, Name: w.Name, Object: w.Object}
}

// Check judges the images of an object as they would be judged in a cluster with a mutating phase: tags are resolved,
// and need not be pinned in the manifest. It gives a verdict for each image, in order.
// Errors: as Judge.
func (g *Gate) Check(ctx context.Context, w *Workload, namespace string, labels map[string]string) ([]Image, []seaworthy.Verdict, error) {
	r := RequestFor(w, namespace)
	verdicts := make([]seaworthy.Verdict, len(w.Images))
	failed := make([]error, len(w.Images))
	g.each(ctx, w.Images, func(ctx context.Context, i int) {
		verdicts[i], failed[i] = g.Judge(ctx, Question{Image: w.Images[i].Image, Asker: asker(r, w), NamespaceLabels: labels, Workload: workloadOf(r, w)})
		if failed[i] != nil {
			failed[i] = fmt.Errorf("judging %q: %w", w.Images[i].Image, failed[i])
		}
	})
	return w.Images, verdicts, errors.Join(failed...)
}
