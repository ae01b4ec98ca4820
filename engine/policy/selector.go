package policy

import (
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// selector is a Kubernetes label selector; the zero value selects everything.
type selector struct {
	match map[string]string
	exprs []selectorExpr
}

type selectorExpr struct {
	key, operator string
	values        []string
}

// selector reads a label selector; nil when there is none.
func (f field) selector() *selector {
	if !f.given() {
		return nil
	}
	m := f.object("matchLabels", "matchExpressions")
	s := &selector{match: m["matchLabels"].table()}
	for _, e := range m["matchExpressions"].list() {
		x := e.object("key", "operator", "values")
		expr := selectorExpr{key: x["key"].required(), operator: x["operator"].word("In", "NotIn", "Exists", "DoesNotExist"), values: x["values"].texts()}
		switch {
		case !x["operator"].given():
			x["operator"].wrong(seaworthy.Invalid, "it must be given")
		case (expr.operator == "In" || expr.operator == "NotIn") && len(expr.values) == 0:
			x["values"].wrong(seaworthy.Invalid, "%s needs values", expr.operator)
		case (expr.operator == "Exists" || expr.operator == "DoesNotExist") && len(expr.values) > 0:
			x["values"].wrong(seaworthy.Invalid, "%s takes no values", expr.operator)
		}
		s.exprs = append(s.exprs, expr)
	}
	return s
}

// selects reports whether labels are as the selector wants them.
func (s *selector) selects(labels map[string]string) bool {
	if s == nil {
		return true
	}
	for k, v := range s.match {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, e := range s.exprs {
		have, ok := labels[e.key]
		in := ok && slices.Contains(e.values, have)
		switch e.operator {
		case "In":
			ok = in
		case "NotIn":
			ok = !in
		case "DoesNotExist":
			ok = !ok
		}
		if !ok {
			return false
		}
	}
	return true
}

// resources are the workloads that policies may name.
var resources = []string{"replicasets", "deployments", "pods", "cronjobs", "jobs", "statefulsets", "daemonsets", "replicationcontrollers"}

// workloads selects workloads by type and labels, as a ClusterImagePolicy's match does.
type workloads struct {
	group, version, resource string
	labels                   *selector
}

// workloads reads spec.match.
func (f field) workloads() []workloads {
	var out []workloads
	for _, e := range f.list() {
		m := e.object("group", "version", "resource", "selector")
		w := workloads{m["group"].text(), m["version"].text(), m["resource"].word(resources...), m["selector"].selector()}
		if w.labels != nil && len(m.given("group", "version", "resource")) == 0 {
			m["selector"].wrong(seaworthy.Invalid, "a selector needs a resource whose labels it is about")
		}
		out = append(out, w)
	}
	return out
}

// selects reports whether one of them selects the workload. No workload is only selected by none.
func selectsWorkload(list []workloads, w *Workload) bool {
	if len(list) == 0 {
		return true
	}
	return w != nil && slices.ContainsFunc(list, func(m workloads) bool {
		return (m.group == "" || m.group == w.Group) && (m.version == "" || m.version == w.Version) &&
			(m.resource == "" || m.resource == w.Resource) && m.labels.selects(w.Labels)
	})
}
