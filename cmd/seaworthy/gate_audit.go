package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/kube"
)

// Limits of an audit.
const (
	maxAudited    = 10_000 // rows that are kept for a table or JSON; jsonl has no limit
	auditParallel = 16     // pods that are judged at once
)

func newGateAudit(a *app) *cobra.Command {
	var (
		cluster         clusterFlags
		namespace, home string
		page            int64
		all             bool
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Walk a running cluster, and say what would be refused today",
		Long: `Audit walks all pods of a cluster and judges the images that they run: by the digest that was pulled, as the pod's status
has it, rather than by what the tag stands for now. Nothing is changed in the cluster.

It judges by the policies in the cluster, or by --policy-dir: so that it also says what a policy would do before it is
there. Pods are read a page at a time. Pods that are finished, and namespaces that the gate never judges, are left out.

A table and JSON have one line for all pods of the same owner that run the same image, 10,000 lines at most; jsonl is
written as it is found and has no limit.

Exit status: 0 everything may sail; 2 something may not.`,
		Example: "  seaworthy gate audit\n  seaworthy gate audit --policy-dir policies -n prod -o jsonl",
		Args:    takes("seaworthy gate audit"),
	}
	g := a.gateFlags(cmd, false)
	cluster.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&namespace, "namespace", "n", "", "only pods of this namespace (default all)")
	f.StringVar(&home, "gate-namespace", kube.DefaultNamespace, "the gate's namespace, where policies keep secrets and config maps")
	f.Int64Var(&page, "page", kube.DefaultPage, "pods to ask for at once")
	f.BoolVar(&all, "all", false, "also name what may sail")
	out := a.outputFlag(cmd, "table", "json", "jsonl")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		judge, closeJudge, err := g.openKubeJudge(cmd.Context(), &cluster, home)
		if err != nil {
			return err
		}
		defer closeJudge()
		w := &audit{app: a, judge: judge, home: home, all: all, rows: map[auditKey]*auditRow{}}
		walk := kube.PodsOptions{Namespace: namespace, Page: page}
		if out.Has("jsonl") {
			err = out.Write(a.stdout, func(format string, to io.Writer) error {
				if format != "jsonl" {
					return seaworthy.Errorf(seaworthy.Usage, "jsonl is written as pods are read, and goes with no other format")
				}
				w.stream = json.NewEncoder(to)
				return w.walk(cmd.Context(), walk)
			})
		} else if err = w.walk(cmd.Context(), walk); err == nil {
			err = out.Write(a.stdout, w.write)
		}
		if err != nil {
			return err
		}
		return w.answer()
	}
	return cmd
}

// audit is a walk over a cluster.
type audit struct {
	app     *app
	judge   *kubeJudge
	home    string
	all     bool
	stream  *json.Encoder // of jsonl; nil otherwise
	rows    map[auditKey]*auditRow
	dropped int // rows that were too many
	counts  auditCounts
}

// auditCounts are what an audit found. An image that could not be judged is counted as refused as well, when that is what
// would become of it.
type auditCounts struct {
	Pods       int `json:"pods"`
	Images     int `json:"images"` // that pods run, each pod's counted
	Refused    int `json:"refused"`
	Warned     int `json:"warned"`
	Unanswered int `json:"unanswered"` // something could not be found out
}

type auditKey struct{ namespace, owner, where, image, answer string }

// auditRow is one image of one pod or, in a table and JSON, of all pods of one owner.
type auditRow struct {
	Namespace string            `json:"namespace"`
	Owner     string            `json:"owner"` // "ReplicaSet/web-5d4", or the pod itself
	Pod       string            `json:"pod"`   // the first
	Pods      int               `json:"pods"`
	Where     string            `json:"where"` // "containers.web"
	Image     string            `json:"image"` // as written
	Running   string            `json:"running,omitempty"`
	Answer    string            `json:"answer"` // yes, warned, no, or unanswered
	Why       string            `json:"why,omitempty"`
	Verdict   seaworthy.Verdict `json:"verdict"`
}

func (w *audit) walk(ctx context.Context, o kube.PodsOptions) error {
	bar := w.app.progress.Start("judging what runs", 0, console.Things)
	defer bar.Done()
	return w.judge.cluster.Pods(ctx, o, func(pods []kube.Pod) error {
		found := make([][]*auditRow, len(pods))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(auditParallel)
		for i := range pods {
			group.Go(func() (err error) {
				found[i], err = w.pod(ctx, &pods[i])
				bar.Add(1)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, rows := range found {
			if len(rows) > 0 {
				w.counts.Pods++
			}
			for _, r := range rows {
				if err := w.take(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// pod judges the images of one pod.
func (w *audit) pod(ctx context.Context, p *kube.Pod) ([]*auditRow, error) {
	if p.Phase == "Succeeded" || p.Phase == "Failed" || p.Namespace == w.home || slices.Contains(kube.System(), p.Namespace) {
		return nil, nil
	}
	object, err := admit.Extract(p.Object)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading pod %q in namespace %q", p.Name, p.Namespace)
	}
	labels, err := w.judge.labelsOf(ctx, p.Namespace)
	if err != nil {
		return nil, err
	}
	asker := admit.Asker{Namespace: p.Namespace, ServiceAccount: object.ServiceAccount, PullSecrets: object.PullSecrets}
	workload := &policy.Workload{Version: "v1", Resource: "pods", Kind: "Pod", Name: p.Name, Labels: object.Labels, Object: object.Object}
	var rows []*auditRow
	for _, image := range object.Images {
		r := &auditRow{
			Namespace: p.Namespace, Owner: cmp.Or(p.Owner, "Pod/"+p.Name), Pod: p.Name, Pods: 1,
			Where: image.Field + "." + image.Name, Image: image.Image,
		}
		asked := image.Image
		if running := p.Running[r.Where]; running != "" {
			r.Running = running
			_, digest, _ := strings.Cut(running, "@")
			asked = admit.Pinned(image.Image, seaworthy.Digest(digest))
		}
		r.Verdict, err = w.judge.Judge(ctx, admit.Question{Image: asked, Asker: asker, NamespaceLabels: labels, Workload: workload, Unrecorded: true})
		if err != nil {
			return nil, err
		}
		r.conclude()
		rows = append(rows, r)
	}
	return rows, nil
}

// conclude sums up the verdict of a row.
func (r *auditRow) conclude() {
	v := &r.Verdict
	r.Answer = "yes"
	if len(v.Warnings) > 0 {
		r.Answer, r.Why = "warned", strings.Join(v.Warnings, "; ")
	}
	if !v.Allowed {
		r.Answer, r.Why = "no", admit.Brief(v)
	}
	for i := range v.Policies {
		for _, rule := range v.Policies[i].Rules {
			if rule.Code != "" && !rule.Passed && !v.Policies[i].Passed {
				r.Answer = "unanswered"
				r.Why = cmp.Or(r.Why, rule.Reason)
			}
		}
	}
}

// take counts a row, and writes or keeps it.
func (w *audit) take(r *auditRow) error {
	w.counts.Images++
	switch {
	case !r.Verdict.Allowed:
		w.counts.Refused++
	case r.Answer == "warned":
		w.counts.Warned++
	}
	if r.Answer == "unanswered" {
		w.counts.Unanswered++
	}
	if r.Answer == "yes" && !w.all {
		return nil
	}
	if w.stream != nil {
		return seaworthy.Wrap(w.stream.Encode(r), seaworthy.Storage, "writing the audit")
	}
	key := auditKey{r.Namespace, r.Owner, r.Where, cmp.Or(r.Running, r.Image), r.Answer}
	if same, ok := w.rows[key]; ok {
		same.Pods++
		return nil
	}
	if len(w.rows) >= maxAudited {
		w.dropped++
		return nil
	}
	w.rows[key] = r
	return nil
}

func (w *audit) write(format string, to io.Writer) error {
	rows := make([]*auditRow, 0, len(w.rows))
	for _, r := range w.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *auditRow) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Running, b.Running))
	})
	if format == "json" {
		return console.JSON(to, struct {
			auditCounts
			Omitted int         `json:"omitted,omitempty"` // rows that were too many
			Rows    []*auditRow `json:"rows"`
		}{w.counts, w.dropped, rows})
	}
	if len(rows) > 0 {
		t := console.NewTable("ANSWER", "NAMESPACE", "OWNER", "PODS", "WHERE", "IMAGE", "WHY")
		for _, r := range rows {
			style := map[string]console.Style{"yes": console.Green, "no": console.Red}[r.Answer]
			if style == "" {
				style = console.Yellow
			}
			t.AddStyled(console.Cell{Text: r.Answer, Style: style}, console.Cell{Text: r.Namespace}, console.Cell{Text: r.Owner},
				console.Cell{Text: fmt.Sprint(r.Pods)}, console.Cell{Text: r.Where}, console.Cell{Text: r.Image}, console.Cell{Text: r.Why})
		}
		if err := t.Write(to); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(to, "%s: %s, %d refused, %d warned, %d not answered\n",
		console.Count(w.counts.Pods, "pod"), console.Count(w.counts.Images, "image"), w.counts.Refused, w.counts.Warned, w.counts.Unanswered)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the audit")
}

// answer is the error of an audit that found something.
func (w *audit) answer() error {
	if w.dropped > 0 {
		w.app.warn("%d rows are left out: -o jsonl has them all", w.dropped)
	}
	if w.counts.Refused > 0 {
		return seaworthy.Errorf(seaworthy.Refused, "%d of %d images that run would be refused today", w.counts.Refused, w.counts.Images)
	}
	return nil
}
