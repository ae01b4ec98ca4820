package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// shownSettings is what "config show" answers. It only grows.
type shownSettings struct {
	Verb        string         `json:"verb,omitempty"` // the verb that was asked about
	Settings    []shownSetting `json:"settings"`
	Directories shownDirs      `json:"directories"`
}

type shownSetting struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
	Origin string   `json:"origin,omitempty"` // with --origin
}

type shownDirs struct {
	Config string `json:"config"`
	Data   string `json:"data"`
	Cache  string `json:"cache"`
}

func newConfig(a *app) *cobra.Command {
	group := &cobra.Command{
		Use:     "config",
		Short:   "What is set, and where",
		GroupID: ownGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	group.AddCommand(newConfigShow(a))
	return group
}

func newConfigShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [VERB…]",
		Short: "Show settings, for all verbs or as one verb would see them",
		Long: `Shows what is set. With a verb it shows every flag of that verb as the verb would see it if it were called
without flags.

A flag that is not given takes its value from the environment (SEAWORTHY_ and the flag's name, as in
SEAWORTHY_COLOR), then from .seaworthy.yaml in the current folder, then from config.yaml in your own folder.
Keys in the files are names of flags; under the name of a verb they are for that verb alone:

    color: never
    config:
      show:
        output: yaml

The current folder may be a stranger's, so .seaworthy.yaml may set only flags that cannot do harm (now: color).`,
		Example: "  seaworthy config show --origin\n  seaworthy config show version",
	}
	origin := cmd.Flags().Bool("origin", false, "show where each value was set")
	out := a.outputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		about, err := findVerb(cmd.Root(), args)
		if err != nil {
			return err
		}
		shown, err := a.showSettings(about)
		if err != nil {
			return err
		}
		if !*origin {
			for i := range shown.Settings {
				shown.Settings[i].Origin = ""
			}
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, shown)
			case "yaml":
				return console.YAML(w, shown)
			}
			return shown.table(w, *origin)
		})
	}
	return cmd
}

func (a *app) showSettings(about *cobra.Command) (shownSettings, error) {
	var shown shownSettings
	s, err := a.readSettings(about.Root())
	if err != nil {
		return shown, err
	}
	if shown.Directories.Config, err = a.configDir(); err != nil {
		return shown, err
	}
	if shown.Directories.Data, err = a.dataDir(); err != nil {
		return shown, err
	}
	if shown.Directories.Cache, err = a.cacheDir(); err != nil {
		return shown, err
	}
	if about.HasParent() {
		shown.Verb = strings.TrimPrefix(about.CommandPath(), about.Root().Name()+" ")
		shown.Settings = a.settingsOf(s, about)
	} else {
		shown.Settings = a.allSettings(s, about)
	}
	return shown, nil
}

// settingsOf lists every flag of a verb with the value it has when it is not given.
func (a *app) settingsOf(s *settings, about *cobra.Command) []shownSetting {
	var list []shownSetting
	for _, name := range flagNames(about) {
		f := about.Flag(name)
		if !settable(f) {
			continue
		}
		found, ok := a.resolve(s, about, f)
		if !ok {
			found = setting{origin: "default"}
			if f.DefValue != "" {
				found.values = []string{f.DefValue}
			}
		}
		list = append(list, shownSetting{Key: name, Values: hide(f, found.values), Origin: found.origin})
	}
	return list
}

// allSettings lists what the environment and the files set, the strongest first.
func (a *app) allSettings(s *settings, root *cobra.Command) []shownSetting {
	list := []shownSetting{}
	flags := map[string]*pflag.Flag{}
	walkVerbs(root, func(cmd *cobra.Command) {
		for _, name := range flagNames(cmd) {
			if f := cmd.Flag(name); settable(f) && flags[name] == nil {
				flags[name] = f
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if value := a.getenv(envName(name)); value != "" {
			list = append(list, shownSetting{name, hide(flags[name], []string{value}), envName(name)})
		}
	}
	for _, file := range []map[string]setting{s.project, s.user} {
		for _, key := range slices.Sorted(maps.Keys(file)) {
			name := key[strings.LastIndexByte(key, '.')+1:]
			list = append(list, shownSetting{key, hide(flags[name], file[key].values), file[key].origin})
		}
	}
	return list
}

func hide(f *pflag.Flag, values []string) []string {
	if f != nil && len(values) > 0 {
		if _, secret := f.Annotations[secretMark]; secret {
			return []string{"(set, not shown)"}
		}
	}
	if values == nil {
		return []string{}
	}
	return values
}

func (s shownSettings) table(w io.Writer, origin bool) error {
	t := console.NewTable("KEY", "VALUE", "ORIGIN")
	if !origin {
		t.Columns = t.Columns[:2]
	}
	for _, one := range s.Settings {
		t.Add(one.Key, strings.Join(one.Values, " "), one.Origin)
	}
	note := func(key, dir string) {
		state := "a folder"
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			state = "a folder that is not there yet"
		}
		t.Add(key, filepath.ToSlash(dir), state)
	}
	note("(config)", s.Directories.Config)
	note("(data)", s.Directories.Data)
	note("(cache)", s.Directories.Cache)
	return t.Write(w)
}
