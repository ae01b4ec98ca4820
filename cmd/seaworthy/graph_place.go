package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
	servegraph "github.com/seaworthy-dev/seaworthy/serve/graph"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// storeFlags say which graph is meant.
type storeFlags struct{ store, tokenFile string }

func (o *storeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.store, "store", "", "the graph: a folder, postgres://…, or http(s)://… of seaworthy up (default graph, in the folder of seaworthy up)")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the token for a graph at an address that asks for one")
}

// graphPlace is a graph that can be asked: one that this process has open, or one that is served elsewhere.
type graphPlace struct {
	servegraph.Asker
	where  string
	store  graph.Store        // nil when it is served elsewhere
	client *servegraph.Client // nil when this process has it open
}

// Close lets go of it.
func (p *graphPlace) Close() error {
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}

// graphUse is what a graph is opened for.
type graphUse int

const (
	toRead  graphUse = iota // it must be there
	toWrite                 // it is made when it is not there
	toMend                  // it must be there, and no server will do
)

// graphAt is where the graph is.
func (a *app) graphAt(o storeFlags) (string, error) {
	if o.store != "" {
		return o.store, nil
	}
	data, err := a.dataDir()
	return filepath.Join(data, "up", "graph"), err
}

// openGraph finds the graph that is meant.
func (a *app) openGraph(ctx context.Context, o storeFlags, use graphUse) (*graphPlace, error) {
	where, err := a.graphAt(o)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://") {
		if use == toMend {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--store %q: this is done where the graph is", where).WithHint("name its folder or database")
		}
		token, err := a.readToken(o.tokenFile)
		if err != nil {
			return nil, err
		}
		return servedPlace(&servegraph.Client{URL: where, Token: token}), nil
	}
	if !graph.IsDatabase(where) && strings.Contains(where, "://") {
		return nil, seaworthy.Errorf(seaworthy.Usage, "--store %q: no such kind of place", where).WithHint("it is a folder, postgres://…, http://… or https://…")
	}
	if !graph.IsDatabase(where) && use != toWrite {
		if names, err := os.ReadDir(where); errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "opening the graph in %q: there is none", where).
				WithHint("make one: seaworthy graph ingest --store %s PATH…", shellWord(where))
		}
	}
	options := graph.Options{ReadOnly: use == toRead, Cache: graphCache}
	if use == toRead {
		options.Patience = readPatience
	}
	store, err := graph.Open(ctx, where, options)
	if err == nil {
		return &graphPlace{Asker: trace.New(store, trace.Options{}), where: where, store: store}, nil
	}
	if seaworthy.CodeOf(err) != seaworthy.Conflict || use == toMend {
		return nil, err
	}
	client, served := servingOf(where)
	if !served {
		return nil, err
	}
	// The file may be of a server that is gone, while somebody else has the folder open.
	if _, asked := client.Stats(ctx); asked != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, seaworthy.Errorf(seaworthy.Conflict, "opening the graph in %q: another process has it open, and it is not served at %s as %q says: %w",
			where, client.URL, servingFile(where), asked).WithHint("wait until the other process is done")
	}
	a.detail("the graph in %s is served at %s", where, client.URL)
	place := servedPlace(client)
	place.where = where
	return place, nil
}

func servedPlace(c *servegraph.Client) *graphPlace {
	return &graphPlace{Asker: c, where: c.URL, client: c}
}

// readPatience is how long a database is waited for that is only to be asked.
const readPatience = 5 * time.Second

// graphCache is how many bytes of a graph's folder a command keeps in memory, which asks it once; a server keeps
// graph.DefaultCache.
const graphCache = 32 << 20

func (a *app) readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := a.readSmall(file, maxTokenFile)
	return strings.TrimSpace(string(b)), err
}

const maxTokenFile = 4096 // bytes

// serving says where the graph in a folder is served while seaworthy up has it open. It lies beside the folder.
type serving struct {
	Address string `json:"address"`
	// Instance is what the server says of itself, so that the file of one that is gone leads to no other.
	Instance string `json:"instance"`
	// Token says that whoever asks must show what is in the file of tokens beside it, which its owner alone can read.
	Token bool `json:"token,omitempty"`
}

func servingFile(store string) string { return filepath.Clean(store) + ".server.json" }

func servingToken(store string) string { return filepath.Clean(store) + ".server.token" }

// announce writes where a graph is served. withdraw takes it back.
func announce(store, address, instance, token string) (withdraw func() error, err error) {
	body, err := json.Marshal(serving{Address: address, Instance: instance, Token: token != ""})
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "writing where the graph is served")
	}
	var disk *durable.Disk
	withdraw = func() error {
		err := errors.Join(disk.Remove(servingFile(store)), disk.Remove(servingToken(store)))
		return seaworthy.Wrap(err, seaworthy.Storage, "taking back where the graph is served")
	}
	if err := disk.Remove(servingToken(store)); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "writing where the graph is served")
	}
	if token != "" {
		if err := disk.WriteFile(servingToken(store), []byte(token+"\n")); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Storage, "writing the token for the graph")
		}
	}
	err = disk.WriteFile(servingFile(store), append(body, '\n'))
	return withdraw, seaworthy.Wrap(err, seaworthy.Storage, "writing where the graph is served")
}

// servingOf reads where a graph is served, if it is said.
func servingOf(store string) (*servegraph.Client, bool) {
	body, err := os.ReadFile(servingFile(store))
	var s serving
	if err != nil || len(body) > maxTokenFile || json.Unmarshal(body, &s) != nil || s.Address == "" || s.Instance == "" {
		return nil, false
	}
	c := &servegraph.Client{URL: s.Address, Instance: s.Instance}
	if s.Token {
		token, err := os.ReadFile(servingToken(store))
		if err != nil || len(token) > maxTokenFile {
			return nil, false
		}
		c.Token = strings.TrimSpace(string(token))
	}
	return c, true
}

// counted is "1 document", "2 documents".
func counted(n int64, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
