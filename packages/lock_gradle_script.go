package packages

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// gradleToken is a word, a string or a sign of a build script.
type gradleToken struct {
	kind byte // 'w' a word, '"' a string, or the sign; '\n' ends a line
	text string
}

// gradleScript reads build scripts in Groovy or Kotlin statement by statement. It runs nothing: what counts are
// statements that begin with the name of a configuration and go on with coordinates or names of a version catalog.
type gradleScript struct {
	l         *lockFacts
	values    map[string]string // variables, as ${name}
	statement []gradleToken
}

// maxGradleStatement is how many tokens of one statement are looked at.
const maxGradleStatement = 256

func readGradleScript(f *File) (Facts, error) {
	b, err := scriptBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	l.project(here, "maven")
	r := gradleScript{l: l, values: map[string]string{}}
	depth := 0 // of ( and [
	for i := 0; i < len(b); {
		t, end := gradleNext(b, i)
		i = end
		switch t.kind {
		case 0:
			continue
		case '(', '[':
			depth++
		case ')', ']':
			depth = max(0, depth-1)
		case '{', '}', ';':
			r.end()
			depth = 0
			continue
		case '\n':
			if n := len(r.statement); depth == 0 && (n == 0 || r.statement[n-1].kind != ',') {
				r.end()
			}
			continue
		}
		if len(r.statement) < maxGradleStatement {
			r.statement = append(r.statement, t)
		}
	}
	r.end()
	p := l.project(here, "maven")
	for i := range p.Depends {
		p.Depends[i].Range = r.expand(p.Depends[i].Range)
	}
	p.Name, p.Version = r.expand(p.Name), r.expand(p.Version)
	if strings.Contains(f.Path, "settings.gradle") && p.Name == "" && len(p.Depends) == 0 {
		return Facts{}, nil
	}
	return l.Facts, nil
}

// gradleNext returns the token at i and the index behind it; kind 0 is space or a comment.
func gradleNext(b []byte, i int) (gradleToken, int) {
	switch c := b[i]; {
	case c == '/' && i+1 < len(b) && b[i+1] == '/':
		for i < len(b) && b[i] != '\n' {
			i++
		}
		return gradleToken{}, i
	case c == '/' && i+1 < len(b) && b[i+1] == '*':
		for i += 2; i+1 < len(b) && (b[i] != '*' || b[i+1] != '/'); {
			i++
		}
		return gradleToken{}, min(len(b), i+2)
	case c == '"' || c == '\'':
		end := endOfTOMLString(b, i) // the same quotes, and escapes in those of Groovy too
		text := strings.Trim(string(b[i:end]), string(c))
		if c == '"' {
			text = gradleNames(text)
		}
		return gradleToken{'"', text}, end
	case isAlnum(c) || c == '_':
		end := i + 1
		for end < len(b) && (isAlnum(b[end]) || b[end] == '_' || b[end] == '.') {
			end++
		}
		return gradleToken{'w', string(b[i:end])}, end
	case c == ' ' || c == '\t' || c == '\r':
		return gradleToken{}, i + 1
	case c == '\n':
		return gradleToken{kind: c}, i + 1
	case strings.IndexByte("()[]{};,:=+", c) >= 0:
		return gradleToken{kind: c}, i + 1
	}
	return gradleToken{'?', ""}, i + 1
}

// gradleNames writes $name in a string as ${name}.
func gradleNames(s string) string {
	if !strings.Contains(s, "$") || len(s) > 1024 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) || !isAlnum(s[i+1]) && s[i+1] != '_' {
			b.WriteByte(s[i])
			continue
		}
		end := i + 1
		for end < len(s) && (isAlnum(s[end]) || s[end] == '_' || s[end] == '.' && end+1 < len(s) && isAlnum(s[end+1])) {
			end++
		}
		b.WriteString("${" + s[i+1:end] + "}")
		i = end - 1
	}
	return b.String()
}

// end reads the statement that is complete.
func (r *gradleScript) end() {
	s := r.statement
	r.statement = r.statement[:0]
	if len(s) == 0 || s[0].kind != 'w' {
		return
	}
	r.assign(s)
	switch first := s[0].text; {
	case first == "id" || first == "kotlin":
		r.plugin(s)
	case first == "alias" && len(s) > 2:
		r.catalog(s[2].text, seaworthy.Build)
	case isGradleConfiguration(first) && len(s) > 1 && s[1].kind != '=' && s[1].kind != ':':
		r.dependency(s[1:], gradleScope(first))
	}
}

// assign remembers strings that have a name: def a = "1", val a = "1", ext.a = "1", a = "1", set("a", "1").
func (r *gradleScript) assign(s []gradleToken) {
	if len(s) >= 4 && (s[0].text == "set" || s[0].text == "ext.set" || s[0].text == "extra.set") && s[2].kind == '"' && len(s) > 4 && s[4].kind == '"' {
		r.values["${"+s[2].text+"}"] = r.expand(s[4].text)
		return
	}
	for i := 1; i+1 < len(s); i++ {
		if s[i].kind != '=' || s[i-1].kind != 'w' || s[i+1].kind != '"' || i > 3 {
			continue
		}
		name := s[i-1].text
		p := r.l.project(here, "maven")
		switch name {
		case "rootProject.name":
			p.Name = s[i+1].text
		case "version":
			if i == 1 && p.Version == "" {
				p.Version = s[i+1].text
			}
		}
		value := r.expand(s[i+1].text)
		r.values["${"+name+"}"] = value
		r.values["${"+name[strings.LastIndexByte(name, '.')+1:]+"}"] = value
		return
	}
	if s[0].text == "version" && len(s) == 2 && s[1].kind == '"' {
		r.l.project(here, "maven").Version = s[1].text
	}
}

// expand replaces each ${name} by its value, once: values have been expanded themselves. What would get long, or
// has no value, stays as it is.
func (r *gradleScript) expand(s string) string {
	const most = 256
	if len(s) > most || !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for rest := s; ; {
		start := strings.Index(rest, "${")
		end := strings.IndexByte(rest[max(start, 0):], '}') + max(start, 0)
		if start < 0 || end < start {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:start])
		name := rest[start : end+1]
		if value, ok := r.values[name]; ok {
			b.WriteString(value)
		} else {
			b.WriteString(name)
		}
		if rest = rest[end+1:]; b.Len() > most {
			return s
		}
	}
	return b.String()
}

// plugin reads id("name") version "1"; the plugin is found as name:name.gradle.plugin.
func (r *gradleScript) plugin(s []gradleToken) {
	var texts []string
	versioned := false
	for _, t := range s[1:] {
		versioned = versioned || t.kind == 'w' && t.text == "version"
		if t.kind == '"' {
			texts = append(texts, t.text)
		}
	}
	if !versioned || len(texts) < 2 || texts[0] == "" {
		return
	}
	if s[0].text == "kotlin" {
		texts[0] = "org.jetbrains.kotlin." + texts[0]
	}
	r.asks(gradlePlugin(texts[0]), texts[1], seaworthy.Build)
}

func gradlePlugin(id string) string { return id + ":" + id + ".gradle.plugin" }

func isGradleConfiguration(s string) bool {
	if strings.Contains(s, ".") {
		return false
	}
	s = strings.ToLower(s)
	for _, suffix := range [...]string{
		"implementation", "api", "compileonly", "runtimeonly", "compileonlyapi", "compile", "annotationprocessor", "developmentonly",
	} {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return s == "runtime" || s == "testruntime" || s == "classpath" || s == "provided" || s == "corelibrarydesugaring" ||
		strings.HasPrefix(s, "kapt") || strings.HasPrefix(s, "ksp")
}

// dependency reads what comes after the name of a configuration.
func (r *gradleScript) dependency(s []gradleToken, scope seaworthy.Scope) {
	if scope == seaworthy.Runtime {
		scope = ""
	}
	named := map[string]string{}
	for i := 0; i < len(s); i++ {
		t := s[i]
		next := func(n int) gradleToken {
			if i+n < len(s) {
				return s[i+n]
			}
			return gradleToken{}
		}
		switch {
		case t.kind == 'w' && (t.text == "project" || t.text == "files" || t.text == "fileTree" || t.text == "exclude"):
			return // of the tree, or what is not wanted
		case t.kind == 'w' && t.text == "kotlin" && next(1).kind == '(':
			r.asks("org.jetbrains.kotlin:kotlin-"+next(2).text, "", scope)
			i += 2
		case t.kind == 'w' && (next(1).kind == ':' || next(1).kind == '=') && next(2).kind == '"':
			named[t.text] = next(2).text
			i += 2
		case t.kind == 'w' && strings.Contains(t.text, ".") && next(1).kind != '"':
			r.catalog(t.text, scope)
		case t.kind == '"':
			if next(1).kind == '+' && next(2).kind == 'w' {
				t.text += "${" + next(2).text + "}"
				i += 2
			}
			r.coordinates(t.text, scope)
		}
	}
	if named["group"] != "" && named["name"] != "" {
		r.asks(named["group"]+":"+named["name"], named["version"], scope)
	}
}

// coordinates reads group:artifact[:version[:classifier]][@extension].
func (r *gradleScript) coordinates(s string, scope seaworthy.Scope) {
	s, _, _ = strings.Cut(s, "@")
	parts := strings.SplitN(s, ":", 5)
	if len(parts) < 2 || len(parts) > 4 || parts[0] == "" || parts[1] == "" || strings.ContainsAny(s, " /\\\n") {
		return
	}
	version := ""
	if len(parts) > 2 {
		version = strings.TrimSuffix(parts[2], "!!") // strictly
	}
	r.asks(r.expand(parts[0])+":"+r.expand(parts[1]), version, scope)
}

// catalog asks for an entry of a version catalog; Join knows what it is.
func (r *gradleScript) catalog(accessor string, scope seaworthy.Scope) {
	accessor = strings.TrimSuffix(strings.TrimSuffix(accessor, "."), ".get")
	if strings.Contains(accessor, ".") {
		r.asks(accessor, "", scope)
	}
}

func (r *gradleScript) asks(name, version string, scope seaworthy.Scope) {
	p := r.l.project(here, "maven")
	p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: version, Scope: scope})
}

// joinGradle puts the entries of version catalogs in the place of their names in build scripts. What no script
// names by its catalog is asked for by the catalog's own project: a plugin of the build may use it.
func joinGradle(all []Facts) Joined {
	catalogs := map[string]*gradleCatalog{} // by directory of the project and name
	for i := range all {
		if isGradleCatalog(all[i].Path) && len(all[i].Packages) > 0 {
			c := newGradleCatalog(&all[i])
			catalogs[c.dir+"\n"+c.name] = c
		}
	}
	all = slices.Clone(all)
	room := maxInherited
	for i := range all {
		if isGradleScript(all[i].Path) {
			all[i] = gradleResolved(all[i], catalogs, &room)
		}
	}
	for i := range all {
		if isGradleCatalog(all[i].Path) && len(all[i].Packages) > 0 {
			c := catalogs[gradleCatalogKey(&all[i])]
			all[i] = c.rest(all[i])
		}
	}
	return gradleFamily.join(all)
}
