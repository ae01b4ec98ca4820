package deps

import (
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Filter chooses dependencies. The zero value lets all through.
type Filter struct {
	words []string // parts of names, in lower case; all must be there
	keys  []keyed
}

// keyed is one "key:value,value"; one of its values must hold. The same key twice is one with both values.
type keyed struct {
	key    string
	values []string
}

// filterKeys are the keys that are understood, and the values that are, nil for any.
var filterKeys = []struct {
	name   string
	values []string
}{
	{"ecosystem", nil},
	{"relationship", []string{string(Direct), string(Transitive), string(Inconclusive)}},
	{"scope", []string{"runtime", "development", "build", "test", "optional", "provided"}},
	{"manifest", nil},
	{"vulnerable", []string{"yes", "no", "critical", "high", "medium", "low"}},
	{"pinned", []string{"yes", "no"}},
	{"licence", nil},
	{"name", nil},
	{"version", nil},
}

// alias gives other words for the same: keys as other tools write them, ecosystems as people call them.
var alias = map[string]string{
	"license": "licence", "rel": "relationship",
	"go": "golang", "pip": "pypi", "python": "pypi", "actions": "githubactions", "github-actions": "githubactions", "rubygems": "gem",
	"ruby": "gem", "rust": "cargo", "crates.io": "cargo", "packagist": "composer", "php": "composer", "yarn": "npm", "pnpm": "npm",
	"gradle": "maven", "java": "maven", "swiftpm": "swift", "indirect": "transitive", "dev": "development", "true": "yes", "false": "no",
}

// ParseFilter reads words as a person types them into a search bar:
//
//	lodash                      a part of the name, case does not count; several words must all be there
//	ecosystem:npm               the package URL's type, or what people call it: go, pip, actions
//	relationship:direct         or transitive, inconclusive
//	scope:development           or runtime, build, test, optional, provided
//	manifest:web/               the file, a directory above it, or a pattern ("*/go.mod")
//	vulnerable:yes              or no, or a severity that it has at least
//	pinned:no                   of GitHub Actions
//	licence:MIT                 a part of the licence; "licence:none" where none is known
//	name:a:b  version:1.2.3     exactly
//
// Values of one key, separated by commas or given apart, are alternatives. A word with a colon that begins like a
// package URL is one. Errors: Usage.
func ParseFilter(words []string) (Filter, error) {
	var f Filter
	for _, word := range words {
		name, value, isKey := strings.Cut(word, ":")
		if !isKey || name == "pkg" {
			if word != "" {
				f.words = append(f.words, strings.ToLower(word))
			}
			continue
		}
		if err := f.add(strings.ToLower(name), value); err != nil {
			return Filter{}, err
		}
	}
	return f, nil
}

func (f *Filter) add(name, value string) error {
	if other, ok := alias[name]; ok {
		name = other
	}
	var known []string
	for _, k := range filterKeys {
		if known = append(known, k.name); k.name != name {
			continue
		}
		values := strings.Split(value, ",")
		if name == "name" {
			values = []string{value}
		}
		for _, v := range values {
			v, err := checkValue(name, v, k.values)
			if err != nil {
				return err
			}
			f.put(name, v)
		}
		return nil
	}
	err := seaworthy.Errorf(seaworthy.Usage, "there is no filter %q", name+":")
	if near := console.Nearest(name, known); near != "" {
		return err.WithHint("did you mean %s:? All filters: %s; for a name with a colon write name:%s:%s", near, strings.Join(known, ", "), name, value)
	}
	return err.WithHint("the filters are %s; for a name with a colon write name:%s:%s", strings.Join(known, ", "), name, value)
}

func checkValue(key, value string, known []string) (string, error) {
	if value == "" {
		return "", seaworthy.Errorf(seaworthy.Usage, "the filter %s: needs a value", key).WithHint("for example: %s", filterExample(key, known))
	}
	if key != "ecosystem" && known == nil {
		return value, nil
	}
	value = strings.ToLower(value)
	if other, ok := alias[value]; ok {
		value = other
	}
	if known == nil || slices.Contains(known, value) {
		return value, nil
	}
	err := seaworthy.Errorf(seaworthy.Usage, "%s:%q cannot be", key, value)
	if near := console.Nearest(value, known); near != "" {
		return "", err.WithHint("did you mean %s:%s? It may be %s", key, near, strings.Join(known, ", "))
	}
	return "", err.WithHint("it may be %s", strings.Join(known, ", "))
}

func filterExample(key string, known []string) string {
	if len(known) > 0 {
		return key + ":" + known[0]
	}
	switch key {
	case "ecosystem":
		return "ecosystem:npm"
	case "manifest":
		return "manifest:web/package-lock.json"
	case "licence":
		return "licence:MIT"
	}
	return key + ":lodash"
}

func (f *Filter) put(key, value string) {
	for i := range f.keys {
		if f.keys[i].key == key {
			f.keys[i].values = append(f.keys[i].values, value)
			return
		}
	}
	f.keys = append(f.keys, keyed{key, []string{value}})
}

// Asks reports whether the filter uses a key, as "vulnerable".
func (f Filter) Asks(key string) bool {
	return slices.ContainsFunc(f.keys, func(k keyed) bool { return k.key == key })
}

// Match reports whether r passes.
func (f Filter) Match(r *Row) bool {
	if len(f.words) > 0 {
		name, url := strings.ToLower(r.Name), strings.ToLower(r.PURL)
		for _, word := range f.words {
			if !strings.Contains(name, word) && !(strings.HasPrefix(word, "pkg:") && strings.HasPrefix(url, word)) {
				return false
			}
		}
	}
	for _, k := range f.keys {
		if !slices.ContainsFunc(k.values, func(v string) bool { return holds(r, k.key, v) }) {
			return false
		}
	}
	return true
}

func holds(r *Row, key, value string) bool {
	switch key {
	case "ecosystem":
		return strings.EqualFold(r.Ecosystem, value)
	case "relationship":
		return string(r.Relationship) == value
	case "scope":
		return string(r.Scope) == value
	case "manifest":
		return inManifest(r.Manifest, value)
	case "vulnerable":
		return vulnerable(r, value)
	case "pinned":
		return r.Pinned != nil && *r.Pinned == (value == "yes")
	case "licence":
		if strings.EqualFold(value, "none") {
			return r.Licence == ""
		}
		return strings.Contains(strings.ToLower(r.Licence), strings.ToLower(value))
	case "name":
		return r.Name == value
	case "version":
		return r.Version == value
	}
	return false
}

func inManifest(manifest, value string) bool {
	value = strings.TrimPrefix(value, "./")
	if manifest == value || strings.HasPrefix(manifest, strings.TrimSuffix(value, "/")+"/") {
		return true
	}
	if !strings.ContainsAny(value, "/") && path.Base(manifest) == value {
		return true
	}
	ok, err := path.Match(value, manifest)
	return err == nil && ok
}

func vulnerable(r *Row, value string) bool {
	switch value {
	case "yes":
		return len(r.Vulnerabilities) > 0
	case "no":
		return len(r.Vulnerabilities) == 0
	}
	least, err := seaworthy.ParseSeverity(value)
	return err == nil && len(r.Vulnerabilities) > 0 && r.Vulnerabilities[0].Severity >= least
}
