package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/oci"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func newGate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "May it sail? Policies, and the gate at a cluster's door",
		Long: `Gate decides which images may run: it holds what is known about an image (who signed it, what is attested, its bills,
its findings, its configuration) against policies, and explains every answer.

Policies are files: Seaworthy's own form, ClusterImagePolicy and TrustRoot as policy-controller has them, and Ratify's
Verifier. The same files work in a check before anything is deployed, in tests, and at the door of a cluster.`,
		GroupID: gateGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(gateVerbs(a)...)
	return cmd
}

// gateVerbs is the list of the verbs of gate, as help shows them.
func gateVerbs(a *app) []*cobra.Command {
	return []*cobra.Command{
		newGateCheck(a),
		newGateExplain(a),
		newGateTest(a),
		newGateLint(a),
		newGateServe(a),
		newGateAudit(a),
		newGateManifests(a),
		newGateBackstop(a),
	}
}

// gateFlags are the flags of every verb that judges images.
type gateFlags struct {
	app        *app
	policies   string
	root       string
	advisories string
	vex        []string
	unbound    string
	plugins    []string
	namespace  string
	labels     []string
	remote     remoteFlags
}

// judging gives a verb the flags; where says that it judges for a namespace that the person names.
func (a *app) gateFlags(cmd *cobra.Command, inNamespace bool) *gateFlags {
	g := &gateFlags{app: a}
	f := cmd.Flags()
	f.StringVar(&g.policies, "policy-dir", "", "folder with policies, or one file of them")
	f.StringVar(&g.root, "trusted-root", "", "trusted_root.json to believe (default: what trust import kept, else the public-good instance's)")
	f.StringVar(&g.advisories, "advisories", "", "the advisory database, for policies about findings (default: advisories.db in the data folder)")
	f.StringArrayVar(&g.vex, "vex", nil, "OpenVEX or CycloneDX file with statements about findings; may be repeated")
	f.StringVar(&g.unbound, "no-match", "deny", "what is said of an image that no policy binds: deny, warn or allow")
	f.StringArrayVar(&g.plugins, "plugin-dir", nil, "folder with Ratify's verifier plugins; without it no program is run; may be repeated")
	if inNamespace {
		f.StringVarP(&g.namespace, "namespace", "n", "", "namespace to judge for, of objects that name none")
		f.StringArrayVar(&g.labels, "namespace-label", nil, "a label of that namespace, as NAME=VALUE; may be repeated")
	}
	f.BoolVar(&g.remote.plainHTTP, "plain-registry", false, "speak HTTP to registries; localhost may speak it in any case")
	f.StringVar(&g.remote.caFile, "ca-file", "", "certificate authorities (PEM) to trust besides the system's")
	f.StringArrayVar(&g.remote.allowHosts, "allow-host", nil, "host at a private address that a registry may send us on to; may be repeated")
	f.StringArrayVar(&g.remote.tokenHosts, "token-host", nil, "host of a token service that may be sent the registry's credentials; may be repeated")
	return g
}

// namespaceLabels reads --namespace-label. Errors: Usage.
func (g *gateFlags) namespaceLabels() (map[string]string, error) {
	if len(g.labels) > 0 && g.namespace == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "--namespace-label without --namespace").WithHint("name the namespace with --namespace")
	}
	out := map[string]string{}
	for _, l := range g.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return nil, seaworthy.Errorf(seaworthy.Usage, "reading --namespace-label %q: not like NAME=VALUE", l)
		}
		out[name] = value
	}
	return out, nil
}

// folder is where the policies are. Errors: Usage.
func (g *gateFlags) folder() (*admit.Folder, error) {
	if g.policies == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "judging without policies").WithHint("name a folder or file with --policy-dir")
	}
	o, err := g.options()
	if err != nil {
		return nil, err
	}
	f := &admit.Folder{Path: g.policies, Options: o, Root: func() (*root.Root, error) { return g.app.trustedRoot(g.root) }}
	if g.root != "" {
		f.Also = []string{g.root}
	} else if imported, err := g.app.importedRoot(); err == nil {
		f.Also = []string{imported}
	}
	return f, nil
}

// options are what policies are loaded with, but for the trusted root. Errors: Usage.
func (g *gateFlags) options() (policy.Options, error) {
	known := []policy.Unbound{policy.UnboundDeny, policy.UnboundWarn, policy.UnboundAllow}
	if !slices.Contains(known, policy.Unbound(g.unbound)) {
		err := seaworthy.Errorf(seaworthy.Usage, "reading --no-match %q: not deny, warn or allow", g.unbound)
		if near := console.Nearest(g.unbound, []string{"deny", "warn", "allow"}); near != "" {
			return policy.Options{}, err.WithHint("did you mean %s?", near)
		}
		return policy.Options{}, err
	}
	return policy.Options{Unbound: policy.Unbound(g.unbound), PluginDirs: g.plugins}, nil
}

// gateRetries is how often a registry is asked again: once, because somebody waits for the answer.
const gateRetries = 1

// client asks registries as a gate does: soon or not at all.
func (g *gateFlags) client() (*oci.Client, error) {
	o, err := g.remote.options(g.app)
	if err != nil {
		return nil, err
	}
	o.Retries, o.MaxWait, o.IdleTimeout = gateRetries, 2*time.Second, 15*time.Second
	return oci.NewClient(o)
}

// openAdvisories opens the advisory database, when one was named or is at the usual place, and reads VEX files. nil:
// there is none.
func (g *gateFlags) openAdvisories() (*admit.Advisories, func(), error) {
	none := func() {}
	if g.advisories == "" {
		path, err := g.app.databasePath("")
		if err != nil {
			return nil, none, nil //nolint:nilerr // without a home there is no usual place
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, none, nil
		}
	}
	statements, err := g.app.readVEX(g.vex)
	if err != nil {
		return nil, none, err
	}
	db, err := g.app.openDatabase(g.advisories, 0)
	if err != nil {
		return nil, none, err
	}
	return &admit.Advisories{DB: db, VEX: statements}, func() { db.Close() }, nil
}

// openGate makes a gate with the policies of the folder, for one run of a verb. Errors: those of the folder.
func (g *gateFlags) openGate() (*admit.Gate, func(), error) {
	folder, err := g.folder()
	if err != nil {
		return nil, nil, err
	}
	loaded, err := folder.Load()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range loaded.Mistakes {
		g.app.warn("%s", m.Error())
	}
	client, err := g.client()
	if err != nil {
		return nil, nil, err
	}
	return g.gateOn(loaded, admit.OneClient{Client: client}, client.Close)
}

// gateOn makes a gate that asks registries of the caller's; closed is called when the gate is.
func (g *gateFlags) gateOn(loaded *admit.Loaded, registries admit.Registries, closed func()) (*admit.Gate, func(), error) {
	advisories, closeAdvisories, err := g.openAdvisories()
	if err != nil {
		closed()
		return nil, nil, err
	}
	level := slog.LevelError // what matters is in the answer
	if g.app.verbose {
		level = slog.LevelDebug
	}
	gate := admit.New(admit.Options{
		Registries: registries, Advisories: advisories, Log: slog.New(slog.NewTextHandler(g.app.progress, &slog.HandlerOptions{Level: level})),
	})
	gate.Use(loaded.Set, loaded.Root)
	return gate, func() { gate.Close(); closeAdvisories(); closed() }, nil
}

// judged is the answer about one image, and where it is wanted.
type judged struct {
	Object  string            `json:"object,omitempty"` // "deployment/web"
	Field   string            `json:"field,omitempty"`  // "containers.web"
	Verdict seaworthy.Verdict `json:"verdict"`
}

// judgements is what check and explain print as JSON.
type judgements struct {
	Allowed bool     `json:"allowed"`
	Images  []judged `json:"images"`
}

// judgeTarget judges an image, or every image in a file with manifests.
func (g *gateFlags) judgeTarget(ctx context.Context, gate *admit.Gate, image string, workloads []*admit.Workload) (*judgements, error) {
	labels, err := g.namespaceLabels()
	if err != nil {
		return nil, err
	}
	out := &judgements{Allowed: true, Images: []judged{}}
	if image != "" {
		v, err := gate.Judge(ctx, admit.Question{Image: image, Asker: admit.Asker{Namespace: g.namespace}, NamespaceLabels: labels})
		if err != nil {
			return nil, err
		}
		out.Images = append(out.Images, judged{Verdict: v})
	}
	for _, w := range workloads {
		images, verdicts, err := gate.Check(ctx, w, g.namespace, labels)
		if err != nil {
			return nil, err
		}
		for i := range images {
			out.Images = append(out.Images, judged{w.String(), images[i].Field + "." + images[i].Name, verdicts[i]})
		}
	}
	for i := range out.Images {
		out.Allowed = out.Allowed && out.Images[i].Verdict.Allowed
	}
	return out, nil
}

// answer is the error of judgements whose answer is no.
func (j *judgements) answer() error {
	refused := 0
	var first *seaworthy.Verdict
	for i := range j.Images {
		if !j.Images[i].Verdict.Allowed {
			if refused++; first == nil {
				first = &j.Images[i].Verdict
			}
		}
	}
	switch {
	case refused == 0:
		return nil
	case len(j.Images) == 1:
		return seaworthy.Errorf(seaworthy.Refused, "image %q may not sail: %s", first.Image, refusers(first))
	}
	return seaworthy.Errorf(seaworthy.Refused, "%d of %d images may not sail, first %q: %s", refused, len(j.Images), first.Image, refusers(first))
}

// refusers names the policies that refuse; why is in the answer itself.
func refusers(v *seaworthy.Verdict) string {
	var names []string
	for _, p := range v.Policies {
		if !p.Passed && p.Mode == seaworthy.Enforce {
			names = append(names, p.Policy)
		}
	}
	if len(names) == 0 {
		return "no policy lets it"
	}
	return "refused by " + strings.Join(names, ", ")
}
