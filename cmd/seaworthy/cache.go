package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/image"
)

func newCache(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "What is kept of layers that were read before",
		Long: `Cache looks after what is kept of layers that were read before. Everything in it can be removed at any time:
it is made again when it is needed.`,
		GroupID: ownGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newCacheShow(a), newCacheClear(a))
	return cmd
}

func (a *app) layerCache() (*image.Cache, error) {
	dir, err := a.cacheDir()
	if err != nil {
		return nil, err
	}
	return image.OpenCache(dir, 0), nil
}

func newCacheShow(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Where the cache is and how full", Args: takes("seaworthy cache show")}
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := a.layerCache()
		if err != nil {
			return err
		}
		s, err := c.Status()
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, s)
			case "yaml":
				return console.YAML(w, s)
			}
			_, err := fmt.Fprintf(w, "%s\n%d layers, %s of at most %s\n", console.Escape(s.Dir), s.Layers, console.Size(s.Bytes), console.Size(s.Max))
			return err
		})
	}
	return cmd
}

func newCacheClear(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "clear", Short: "Remove everything from the cache", Args: takes("seaworthy cache clear")}
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := a.layerCache()
		if err != nil {
			return err
		}
		return c.Clear()
	}
	return cmd
}
