package packages

import (
	"bytes"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockTerraform reads what Terraform and OpenTofu configurations ask for: .terraform.lock.hcl, and in *.tf and
// *.tofu the required_providers and the sources of modules. It is no evaluator: only what is written as a
// plain string is known.
var lockTerraform = Recogniser{
	Name: "terraform-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (baseIs(p, ".terraform.lock.hcl") || strings.HasSuffix(p, ".tf") || strings.HasSuffix(p, ".tofu")) && inTree(p)
	},
	Read: readTerraform,
	Join: func(_ Context, all []Facts) Joined { return terraformFamily.join(all) },
}

var terraformFamily = lockFamily{
	ecosystem: "terraform",
	name:      terraformName,
	purl: func(name, version string) string {
		name = terraformName(name)
		i := strings.LastIndexByte(name, '/')
		return purl.New("terraform", name[:max(i, 0)], name[i+1:], version)
	},
	exact: func(rng string) string {
		if v := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rng), "=")); isVersion(v, 3) {
			return v
		}
		return ""
	},
	manifest: func(base string) bool { return base != ".terraform.lock.hcl" },
}

// terraformName drops the default registry's host, and adds the default namespace to a bare provider name.
func terraformName(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "registry.terraform.io/"), "registry.opentofu.org/")
	if s != "" && !strings.Contains(s, "/") {
		s = "hashicorp/" + s
	}
	return strings.ToLower(s)
}

// hclBlock is a block or an object: its words ("provider", "registry…/aws") and its attributes that are strings.
type hclBlock struct {
	words  []string
	values map[string]string
	lists  map[string][]string
}

// readTerraform gathers providers and modules while blocks close. Blocks are kept on a stack of at most
// maxLockDepth; nothing recurs.
func readTerraform(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	lock := baseIs(f.Path, ".terraform.lock.hcl")
	l.project(here, "terraform")
	err = readHCL(b, func(stack []*hclBlock) {
		closed := stack[len(stack)-1]
		switch {
		case lock && len(stack) == 1 && len(closed.words) == 2 && closed.words[0] == "provider":
			terraformLocked(l, closed)
		case lock:
		case len(stack) == 1 && len(closed.words) == 2 && closed.words[0] == "module":
			terraformModule(l, closed)
		case len(stack) == 3 && stack[1].words[0] == "required_providers":
			d := seaworthy.Dependency{Name: closed.values["source"], Range: closed.values["version"]}
			if d.Name == "" {
				d.Name = closed.words[0]
			}
			project := l.project(here, "terraform")
			d.Name = terraformName(d.Name)
			project.Depends = append(project.Depends, d)
		case len(stack) == 2 && closed.words[0] == "required_providers":
			for name, rng := range closed.values { // before Terraform 0.13: name = "version"
				project := l.project(here, "terraform")
				project.Depends = append(project.Depends, seaworthy.Dependency{Name: terraformName(name), Range: rng})
			}
		}
	})
	if err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	project := l.project(here, "terraform")
	sortDepends(project.Depends)
	if !lock && len(project.Depends) == 0 && len(l.Packages) == 1 {
		return Facts{}, nil // resources only
	}
	return l.Facts, nil
}

func terraformLocked(l *lockFacts, block *hclBlock) {
	name := terraformName(block.words[1])
	p := seaworthy.Package{Ref: name, Ecosystem: "terraform", Name: name, Version: block.values["version"]}
	p.Direct = true // every provider in the lock is installed for the configuration itself
	var hashes []seaworthy.Digest
	for _, h := range block.lists["hashes"] {
		// zh: is the SHA-256 of a release's zip; h1: is of its files, in the manner of Go modules.
		if zip, ok := strings.CutPrefix(h, "zh:"); ok && len(hashes) < maxHashes {
			if d, err := seaworthy.NewDigest("sha256", zip); err == nil {
				hashes = append(hashes, d)
			}
		}
	}
	setHashes(&p, hashes)
	if c := block.values["constraints"]; c != "" {
		p.Properties = []seaworthy.Property{{Name: "range", Value: c}}
	}
	l.add(p)
	l.resolves(name, p.Ref)
	l.dependsOn(here, p.Ref, "")
}

// terraformModule adds a module of a registry or repository; one of the tree is a project beside this one.
func terraformModule(l *lockFacts, block *hclBlock) {
	source, version := block.values["source"], block.values["version"]
	if source == "" || strings.HasPrefix(source, ".") || strings.HasPrefix(source, "/") {
		return
	}
	p := seaworthy.Package{Ecosystem: "terraform", Direct: true}
	if strings.Contains(source, "::") || strings.Contains(source, "://") || strings.HasPrefix(source, "github.com/") ||
		strings.HasPrefix(source, "git@") || strings.HasPrefix(source, "bitbucket.org/") {
		address := strings.TrimPrefix(source, "git::")
		address, query, _ := strings.Cut(address, "?")
		ref := ""
		for part := range strings.SplitSeq(query, "&") {
			if v, ok := strings.CutPrefix(part, "ref="); ok {
				ref = v
			}
		}
		if !strings.Contains(address, "://") {
			address = "https://" + strings.TrimPrefix(address, "git@")
		}
		scheme, rest, _ := strings.Cut(address, "://")
		rest, _, _ = strings.Cut(rest, "//") // a directory of the repository follows
		download := cleanDownload(scheme + "://" + rest)
		if download == "" {
			return
		}
		_, p.Name, _ = strings.Cut(strings.TrimSuffix(download, ".git"), "://")
		p.Version, p.Download = ref, download
		p.PURL = purl.New("generic", "", p.Name, ref, "vcs_url", vcsURL(download, ref))
	} else {
		p.Name, _, _ = strings.Cut(source, "//")
		p.Version = terraformFamily.exact(version)
		if p.Version == "" && version != "" {
			p.Properties = []seaworthy.Property{{Name: "range", Value: version}}
		}
		i := strings.LastIndexByte(p.Name, '/')
		p.PURL = purl.New("terraform", p.Name[:max(i, 0)], p.Name[i+1:], p.Version)
	}
	p.Properties = append(p.Properties, seaworthy.Property{Name: "kind", Value: "module"})
	p.Ref = "module " + p.PURL + " " + version
	l.add(p)
	l.dependsOn(here, p.Ref, "")
}

// readHCL reads the few things of HCL needed here (github.com/hashicorp/hcl, hclsyntax/spec.md): blocks, objects,
// and attributes that are strings or lists of strings. done is called as each block or object closes, with those
// around it; everything else is passed over.
func readHCL(b []byte, done func(stack []*hclBlock)) error {
	var stack []*hclBlock
	var words []string // since the last line's end
	key, list, depth := "", false, 0
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '#' || c == '/' && i+1 < len(b) && b[i+1] == '/':
			for i < len(b) && b[i] != '\n' {
				i++
			}
		case c == '/' && i+1 < len(b) && b[i+1] == '*':
			end := bytes.Index(b[i+2:], []byte("*/"))
			if end < 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "a comment does not end")
			}
			i += end + 4
		case c == '<' && i+1 < len(b) && b[i+1] == '<':
			i = endOfHeredoc(b, i)
		case c == '"':
			end := endOfHCLString(b, i)
			if end < 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "a string does not end on its line")
			}
			text := string(b[i+1 : end-1])
			switch {
			case list && key != "" && len(stack) > 0:
				top := stack[len(stack)-1]
				top.lists[key] = append(top.lists[key], text)
			case key != "" && len(stack) > 0:
				stack[len(stack)-1].values[key] = text
				key = ""
			default:
				words = append(words, text)
			}
			i = end
		case c == '=' && len(words) > 0 && key == "":
			key = words[len(words)-1]
			i++
		case c == '{':
			if len(stack) >= maxLockDepth {
				return seaworthy.Errorf(seaworthy.TooLarge, "nested more than %d deep", maxLockDepth)
			}
			if len(words) == 0 {
				words = []string{""}
			}
			stack = append(stack, &hclBlock{words: words, values: map[string]string{}, lists: map[string][]string{}})
			words, key, list = nil, "", false
			i++
		case c == '}':
			if len(stack) == 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "a brace closes what was not opened")
			}
			done(stack)
			stack = stack[:len(stack)-1]
			words, key, list = nil, "", false
			i++
		case c == '[':
			depth++
			list = key != ""
			i++
		case c == ']':
			if depth--; depth <= 0 {
				depth, list, key = 0, false, ""
			}
			i++
		case c == '\n' || c == ',':
			if !list {
				words, key = nil, ""
			}
			i++
		case isAlnum(c) || c == '_':
			start := i
			for i < len(b) && (isAlnum(b[i]) || b[i] == '_' || b[i] == '-' || b[i] == '.') {
				i++
			}
			if key == "" && len(words) < 8 {
				words = append(words, string(b[start:i]))
			}
		default:
			i++
		}
	}
	if len(stack) > 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "the block %q does not end", stack[0].words[0])
	}
	return nil
}

// endOfHCLString returns the index behind the quoted template at i, or -1. A template may hold others: "${f("x")}".
func endOfHCLString(b []byte, i int) int {
	inside := 0 // of ${ }
	for j := i + 1; j < len(b); j++ {
		switch {
		case b[j] == '\\':
			j++
		case b[j] == '\n':
			return -1
		case (b[j] == '$' || b[j] == '%') && j+1 < len(b) && b[j+1] == '{':
			inside++
			j++
		case b[j] == '}' && inside > 0:
			inside--
		case b[j] == '"' && inside == 0:
			return j + 1
		}
	}
	return -1
}

// endOfHeredoc returns the index behind the heredoc at i, or behind its << when it is none.
func endOfHeredoc(b []byte, i int) int {
	line := bytes.IndexByte(b[i:], '\n')
	if line < 0 {
		return len(b)
	}
	mark := bytes.TrimSpace(bytes.TrimPrefix(b[i+2:i+line], []byte("-")))
	if len(mark) == 0 || !isAlnum(mark[0]) && mark[0] != '_' {
		return i + 2
	}
	for at := i + line + 1; at < len(b); {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			end = len(b) - at
		}
		if bytes.Equal(bytes.TrimSpace(b[at:at+end]), mark) {
			return at + end
		}
		at += end + 1
	}
	return len(b)
}
