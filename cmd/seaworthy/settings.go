package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// A flag that was not given takes its value from, in this order:
//
//  1. the environment: SEAWORTHY_ and the flag's name in capitals, "-" as "_";
//  2. .seaworthy.yaml in the current folder, for flags marked with projectMaySet;
//  3. config.yaml in the person's own folder ($XDG_CONFIG_HOME/seaworthy).
//
// In the files, keys are names of flags. A key that names a verb holds keys for that verb alone, and these win:
//
//	color: never
//	sbom:
//	  output: spdx-json
//
// The current folder is often the very thing that is looked at, written by somebody else. So the file in it may
// set only what cannot hurt: never where output is written, what is trusted, what is executed, or a secret.

const (
	projectFile = ".seaworthy.yaml"
	userFile    = "config.yaml"
	envPrefix   = "SEAWORTHY_"
	// maxSettings is the largest settings file that is read: 1 MiB.
	maxSettings = 1 << 20

	projectMark = "seaworthy_project" // flag annotation: .seaworthy.yaml may set it
	secretMark  = "seaworthy_secret"  // flag annotation: the value is never shown
)

// projectMaySet marks flags that .seaworthy.yaml may set: those with which a stranger's file can do no harm.
func projectMaySet(flags *pflag.FlagSet, names ...string) { mark(flags, projectMark, names) }

// secretFlags marks flags whose values are never shown.
func secretFlags(flags *pflag.FlagSet, names ...string) { mark(flags, secretMark, names) }

func mark(flags *pflag.FlagSet, as string, names []string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, as, []string{"true"}); err != nil {
			panic("marking flags: " + err.Error())
		}
	}
}

// setting is a value and where it was set.
type setting struct {
	values []string
	origin string
}

// settings is what the two files say; the environment is asked as needed. Keys are a verb's path and the flag,
// joined by dots: "color", "sbom.output", "sbom.check.output".
type settings struct {
	project, user map[string]setting
}

// readSettings reads both files; one that is not there says nothing. Errors: Usage, for keys that are unknown,
// twice there or not allowed; Invalid; Storage.
func (a *app) readSettings(root *cobra.Command) (*settings, error) {
	if a.settings != nil {
		return a.settings, nil
	}
	var s settings
	var err error
	if s.project, err = readSettingsFile(root, projectFile, true); err != nil {
		return nil, err
	}
	dir, err := a.configDir()
	if err != nil {
		return &s, nil // nobody's home: there are no settings in it
	}
	if s.user, err = readSettingsFile(root, filepath.Join(dir, userFile), false); err != nil {
		return nil, err
	}
	a.settings = &s
	return a.settings, nil
}

// applySettings sets the flags of cmd that were not given on the command line.
func (a *app) applySettings(cmd *cobra.Command) error {
	s, err := a.readSettings(cmd.Root())
	if err != nil {
		return err
	}
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil {
			return
		}
		found, ok := a.resolve(s, cmd, f)
		if !ok {
			return
		}
		for _, value := range found.values {
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				var invalid *pflag.InvalidValueError
				if errors.As(err, &invalid) {
					err = invalid.Unwrap()
				}
				if seaworthy.CodeOf(err) != seaworthy.Usage {
					err = seaworthy.Errorf(seaworthy.Usage, "%w", err)
				}
				failed = seaworthy.Wrap(err, seaworthy.Usage, "setting --%s as %s says", f.Name, found.origin)
				return
			}
		}
	})
	return failed
}

// resolve finds the value of a flag outside the command line.
func (a *app) resolve(s *settings, cmd *cobra.Command, f *pflag.Flag) (setting, bool) {
	if !settable(f) {
		return setting{}, false
	}
	if name := envName(f.Name); a.getenv(name) != "" {
		return setting{values: []string{a.getenv(name)}, origin: name}, true
	}
	if _, ok := f.Annotations[projectMark]; ok {
		if found, ok := lookup(s.project, cmd, f.Name); ok {
			return found, true
		}
	}
	return lookup(s.user, cmd, f.Name)
}

// lookup looks for a flag under the verb itself, then under those it belongs to.
func lookup(file map[string]setting, cmd *cobra.Command, flag string) (setting, bool) {
	for ; cmd != nil; cmd = cmd.Parent() {
		if found, ok := file[settingKey(cmd, flag)]; ok {
			return found, true
		}
	}
	return setting{}, false
}

func settingKey(cmd *cobra.Command, name string) string {
	for ; cmd.HasParent(); cmd = cmd.Parent() {
		name = cmd.Name() + "." + name
	}
	return name
}

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settable leaves out flags that ask for something else to be done: --help and --version.
func settable(f *pflag.Flag) bool { return f.Name != "help" && f.Name != "version" }

// readsNoSettings names the verbs that must work whatever the settings say.
func readsNoSettings(cmd *cobra.Command) bool {
	switch cmd.Name() {
	case "help", "completion", "docs", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return true
	}
	return false
}

func readSettingsFile(root *cobra.Command, name string, project bool) (map[string]setting, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the settings")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the settings")
	}
	if len(b) > maxSettings {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: settings may have %d bytes", name, maxSettings)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %w", name, err).WithHint("settings are YAML: one \"flag: value\" a line")
	}
	r := settingsReader{file: name, project: project, found: map[string]setting{}}
	if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
		if err := r.read(root, doc.Content[0]); err != nil {
			return nil, err
		}
	}
	return r.found, nil
}

type settingsReader struct {
	file    string
	project bool
	found   map[string]setting
}

// read reads the keys of one verb. It goes as deep as our own verbs do.
func (r *settingsReader) read(cmd *cobra.Command, node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return r.errorf(node, "there must be keys with values here")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if sub := verbBelow(cmd, key.Value); sub != nil && value.Kind == yaml.MappingNode {
			if err := r.read(sub, value); err != nil {
				return err
			}
			continue
		}
		known, allowed := knowsFlag(cmd, key.Value)
		switch {
		case !known:
			return r.unknown(cmd, key)
		case r.project && !allowed:
			return r.errorf(key, "%q may not be set by a file in the folder being worked in", key.Value).
				WithHint("that folder may be a stranger's; give the flag, or set it in your own config.yaml (seaworthy config show tells where)")
		}
		values, err := r.values(value)
		if err != nil {
			return err
		}
		name := settingKey(cmd, key.Value)
		if earlier, twice := r.found[name]; twice {
			return r.errorf(key, "%q is set already at %s", key.Value, earlier.origin)
		}
		r.found[name] = setting{values: values, origin: r.at(key)}
	}
	return nil
}

func (r *settingsReader) values(node *yaml.Node) ([]string, error) {
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	var values []string
	for _, n := range nodes {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return nil, r.errorf(n, "there must be a value, or a list of values, here")
		}
		values = append(values, n.Value)
	}
	return values, nil
}

func (r *settingsReader) unknown(cmd *cobra.Command, key *yaml.Node) error {
	err := r.errorf(key, "unknown key %q", key.Value)
	var known []string
	walkVerbs(cmd, func(sub *cobra.Command) {
		known = append(known, flagNames(sub)...)
	})
	for _, sub := range cmd.Commands() {
		known = append(known, sub.Name())
	}
	if near := console.Nearest(key.Value, known); near != "" {
		return err.WithHint("did you mean %s?", near)
	}
	return err.WithHint("keys are names of flags, or of verbs with flags under them")
}

func (r *settingsReader) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, node.Line) }

func (r *settingsReader) errorf(node *yaml.Node, format string, args ...any) *seaworthy.Error {
	e := seaworthy.Errorf(seaworthy.Usage, format, args...)
	e.Doing = fmt.Sprintf("reading %q line %d", r.file, node.Line)
	return e
}

func verbBelow(cmd *cobra.Command, name string) *cobra.Command {
	i := slices.IndexFunc(cmd.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name })
	if i < 0 {
		return nil
	}
	return cmd.Commands()[i]
}

// knowsFlag reports whether cmd or a verb below it has a flag, and whether the project's file may set it.
func knowsFlag(cmd *cobra.Command, name string) (known, project bool) {
	walkVerbs(cmd, func(sub *cobra.Command) {
		f := sub.Flags().Lookup(name)
		if f == nil {
			f = sub.InheritedFlags().Lookup(name)
		}
		if f == nil {
			f = sub.PersistentFlags().Lookup(name)
		}
		if f != nil && settable(f) {
			known = true
			_, ok := f.Annotations[projectMark]
			project = project || ok
		}
	})
	return known, project
}

// walkVerbs calls visit for cmd and everything below it.
func walkVerbs(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walkVerbs(sub, visit)
	}
}
