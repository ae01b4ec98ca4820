package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// JSON writes v as indented JSON (two spaces), with <, > and & as they are, and a newline at the end.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return wrapWrite(enc.Encode(v), "JSON")
}

// JSONL writes every item as one line of JSON.
func JSONL[T any](w io.Writer, items []T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range items {
		if err := enc.Encode(&items[i]); err != nil {
			return wrapWrite(err, "JSON lines")
		}
	}
	return nil
}

// YAML writes what JSON would write, as YAML: the same keys in the same order, so that one schema describes
// both. Strings that an older YAML would read as something else ("no", "1:30") are quoted.
func YAML(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return wrapWrite(err, "YAML")
	}
	node, err := yamlNode(&b)
	if err != nil {
		return wrapWrite(err, "YAML")
	}
	y := yaml.NewEncoder(w)
	y.SetIndent(2)
	if err := y.Encode(node); err != nil {
		return wrapWrite(err, "YAML")
	}
	return wrapWrite(y.Close(), "YAML")
}

// wrapWrite gives an encoder's error a code. A value that has no JSON is our own mistake; anything else is the
// writer's failure.
func wrapWrite(err error, what string) error {
	var noType *json.UnsupportedTypeError
	var noValue *json.UnsupportedValueError
	if errors.As(err, &noType) || errors.As(err, &noValue) {
		return seaworthy.Wrap(err, seaworthy.Internal, "writing %s", what)
	}
	return seaworthy.Wrap(err, seaworthy.Storage, "writing %s", what)
}

// yamlNode reads one JSON value into a tree of YAML nodes, keeping the order of keys. encoding/json has written
// the value, so its depth is that of a Go value of ours.
func yamlNode(r io.Reader) (*yaml.Node, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	root := &yaml.Node{Kind: yaml.DocumentNode}
	open := []*yaml.Node{root} // the containers we are inside of
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		var node *yaml.Node
		switch t := token.(type) {
		case json.Delim:
			if t == '}' || t == ']' {
				open = open[:len(open)-1]
				continue
			}
			node = &yaml.Node{Kind: yaml.MappingNode}
			if t == '[' {
				node.Kind = yaml.SequenceNode
			}
			if !dec.More() {
				node.Style = yaml.FlowStyle // {} and []
			}
		case string:
			node = yamlString(t)
		case json.Number:
			node = &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}
		case bool:
			node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"}
			if t {
				node.Value = "true"
			}
		default:
			node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		}
		parent := open[len(open)-1]
		parent.Content = append(parent.Content, node)
		if node.Kind != yaml.ScalarNode {
			open = append(open, node)
		}
	}
}

func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if readsOtherwise(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// readsOtherwise reports whether YAML 1.1 takes s for a boolean or a number in base 60, which the library, being
// of YAML 1.2, does not quote.
func readsOtherwise(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	colon := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == ':':
			colon = true
		case c >= '0' && c <= '9', c == '.', c == '_', i == 0 && (c == '-' || c == '+'):
		default:
			return false
		}
	}
	return colon
}
