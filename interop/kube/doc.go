// Package kube holds the gate's tests in a real Kubernetes API server, driven by kubectl as a person drives it. There
// is no kubelet, scheduler or controller manager: what the gate does happens when objects are written, and that is the
// API server's work; where a test needs a pod that runs, it says so to the API server as a kubelet would.
//
// The tests run with make test-kube, which builds the API server, etcd and kubectl first (tools/kube.sh); the build
// tag "kube" keeps them out of go test ./....
package kube
