// Package purl writes and reads package URLs (github.com/package-url/purl-spec) in their canonical form, so
// that equal packages have equal strings.
package purl

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/seaworthy-dev/seaworthy"
)

// PURL is a package URL taken apart.
type PURL struct {
	Type       string
	Namespace  string
	Name       string
	Version    string
	Qualifiers []seaworthy.Property // sorted by name
	Subpath    string
}

// New makes the canonical package URL of its parts. Qualifiers are name, value, name, value …; those with an
// empty value are left out. A purl without type or name is "".
func New(typ, namespace, name, version string, qualifiers ...string) string {
	if typ == "" || name == "" {
		return ""
	}
	q := make(packageurl.Qualifiers, 0, len(qualifiers)/2)
	for i := 0; i+1 < len(qualifiers); i += 2 {
		if qualifiers[i+1] != "" {
			q = append(q, packageurl.Qualifier{Key: qualifiers[i], Value: qualifiers[i+1]})
		}
	}
	p := packageurl.NewPackageURL(typ, namespace, name, version, q, "")
	if p.Normalize() != nil {
		return ""
	}
	return p.ToString()
}

// Golang makes the purl of a Go module; the module path's last element is the name.
func Golang(module, version string) string {
	namespace, name := "", module
	if i := strings.LastIndexByte(module, '/'); i >= 0 {
		namespace, name = module[:i], module[i+1:]
	}
	return New("golang", namespace, name, version)
}

// NPM makes the purl of an npm package; "@scope/name" is split.
func NPM(name, version string) string {
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") {
		return New("npm", scope, rest, version)
	}
	return New("npm", "", name, version)
}

// Parse reads a package URL, canonical or not. Errors: Invalid.
func Parse(s string) (PURL, error) {
	p, err := packageurl.FromString(s)
	if err != nil {
		return PURL{}, seaworthy.Errorf(seaworthy.Invalid, "parsing package URL %q: %w", s, err).
			WithHint("a package URL looks like pkg:npm/%%40scope/name@1.2.3")
	}
	out := PURL{Type: p.Type, Namespace: p.Namespace, Name: p.Name, Version: p.Version, Subpath: p.Subpath}
	for _, q := range p.Qualifiers {
		out.Qualifiers = append(out.Qualifiers, seaworthy.Property{Name: q.Key, Value: q.Value})
	}
	return out, nil
}

// Canonical returns the canonical form of s. Errors: Invalid.
func Canonical(s string) (string, error) {
	p, err := Parse(s)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// Qualifier returns the value of the named qualifier, or "".
func (p PURL) Qualifier(name string) string {
	for _, q := range p.Qualifiers {
		if q.Name == name {
			return q.Value
		}
	}
	return ""
}

// FullName is the name as the ecosystem's tools print it: "@scope/name", "group:artifact", a module path.
func (p PURL) FullName() string {
	switch {
	case p.Namespace == "":
		return p.Name
	case p.Type == "maven":
		return p.Namespace + ":" + p.Name
	case p.Type == "deb" || p.Type == "rpm" || p.Type == "apk":
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// String returns the canonical form.
func (p PURL) String() string {
	q := make(packageurl.Qualifiers, 0, len(p.Qualifiers))
	for _, prop := range p.Qualifiers {
		q = append(q, packageurl.Qualifier{Key: prop.Name, Value: prop.Value})
	}
	u := packageurl.NewPackageURL(p.Type, p.Namespace, p.Name, p.Version, q, p.Subpath)
	if u.Normalize() != nil {
		return ""
	}
	return u.ToString()
}
