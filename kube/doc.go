// Package kube is the gate's side of a Kubernetes cluster. It reads policies from the cluster's own objects, answers
// when such objects are written, and registers the gate with the API server:
//
//	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: path})
//	source, err := cluster.Watch(ctx, kube.WatchOptions{Namespace: "seaworthy-system", Load: load})
//	set := source.Set() // nil until everything has been read
//	err = cluster.Register(ctx, kube.Registration{…})
//
// Policies are ClusterImagePolicy and TrustRoot objects as policy-controller has them (policy.sigstore.dev), Ratify's
// Verifier (config.ratify.deislabs.io) and Seaworthy's own Policy; CRDs has their definitions. Every object gets a
// status that says whether it is sound, and else which field is wrong.
//
// It also writes what guards a cluster and what installs the gate in one (Backstop, Manifests, Chart), and walks what
// runs (Cluster.Pods). It never deletes anything.
package kube
