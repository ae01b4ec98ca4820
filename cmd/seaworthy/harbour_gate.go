package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/serve/hook"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// harbourGateFlags are what the gate of a harbour is told.
type harbourGateFlags struct {
	policies, unbound string
	plugins           []string
}

func (o *harbourGateFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.policies, "policy-dir", "", "folder with policies: serve the gate, too")
	f.StringVar(&o.unbound, "no-match", "deny", "what the gate says of an image that no policy binds: deny, warn or allow")
	f.StringArrayVar(&o.plugins, "plugin-dir", nil, "folder with Ratify's verifier plugins; without it no program is run; may be repeated")
}

// openGate serves a gate that judges by a folder of policies, believes the harbour's own authorities too, and keeps its
// decisions in the harbour's graph.
func (h *harbour) openGate(ctx context.Context, a *app, o serveFlags) error {
	if o.gate.policies == "" {
		return nil
	}
	g := &gateFlags{app: a, policies: o.gate.policies, unbound: o.gate.unbound, plugins: o.gate.plugins}
	options, err := g.options()
	if err != nil {
		return err
	}
	own, err := plainJSON(h.trustedRoot())
	if err != nil {
		return err
	}
	folder := &admit.Folder{Path: o.gate.policies, Options: options, Also: o.graph.evidence.roots, Root: func() (*root.Root, error) {
		others, err := a.evidenceRoot(o.graph.evidence, "")
		if err != nil {
			return nil, err
		}
		return joinRoots(own, others.JSON())
	}}
	loaded, err := folder.Load()
	if err != nil {
		return err
	}
	for _, m := range loaded.Mistakes {
		a.warn("%s", m.Error())
	}
	client, err := g.client()
	if err != nil {
		return err
	}
	gateOptions := admit.Options{Registries: admit.OneClient{Client: client}, Log: h.log}
	if h.graph != nil {
		gateOptions.Advisories = &admit.Advisories{DB: h.graph.advisories}
		gateOptions.Recorder = recorderFunc(func(ctx context.Context, origin string, body []byte) error {
			_, err := h.graph.in.Bytes(ctx, origin, body)
			return err
		})
	}
	gate := admit.New(gateOptions)
	gate.Use(loaded.Set, loaded.Root)
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { folder.Watch(watch, gateLookEvery, gateTold(h.log, gate.Use)) })
	h.closers = append(h.closers, func(context.Context) error {
		stop()
		watching.Wait()
		gate.Close() // before the graph: what is still to be recorded goes there
		client.Close()
		return nil
	})
	handler := hook.New(gate, hook.Options{Log: h.log})
	served := h.note("gate", handler)
	for _, path := range []string{"/mutate", "/mutate/", "/validate", "/validate/", "/ratify/gatekeeper/v1/"} {
		h.mux.Handle("POST "+path, served)
	}
	h.mux.Handle("GET /api/gate/v1/", h.note("gate", handler.API()))
	return nil
}

// gateLookEvery is how often is looked whether policies changed.
const gateLookEvery = 2 * time.Second

// mayJudge refuses to serve a gate in the clear to others than this machine.
func mayJudge(o serveFlags, host string) error {
	if o.gate.policies != "" && o.cert == "" && !registry.IsLoopback(host) {
		return seaworthy.Errorf(seaworthy.Forbidden, "serving a gate at %q without TLS: what is admitted would be decided by whoever is on the way", o.addr).
			WithHint("give --tls-cert and --tls-key, or listen at 127.0.0.1")
	}
	return nil
}
