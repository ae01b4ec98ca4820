package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// demoPolicy lets sail what the demo's identity has signed and said under oath what is in it.
const demoPolicy = `apiVersion: seaworthy.dev/v1alpha1
kind: Policy
metadata:
  name: demo
spec:
  description: What runs here is signed by us, and we have said what is in it.
  images: ["%s/**"]
  signedBy:
  - identity: %s
    issuer: %s
  billPresent: true
`

// gatePart is told last: the image before a policy, and an unsigned copy of it.
func (s *story) gatePart(base string) error {
	host, dir := strings.TrimPrefix(base, "http://"), s.path("policies")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "making %q", dir)
	}
	file := s.path("policies/demo.yaml")
	policy := fmt.Sprintf(demoPolicy, host, demoIdentity, base+demoIssuer)
	if err := os.WriteFile(file, []byte(policy), 0o644); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the demo's policy")
	}
	image, copied := demoImageName(base), host+"/demo/unsigned:latest"
	judge := func(verb, image string) []string {
		return []string{"gate", verb, image, "--policy-dir", dir, "--trusted-root", s.path("up/trusted_root.json")}
	}
	s.heading("May it sail? This is what is asked of an image")
	fmt.Fprintf(s.app.stdout, "%s\n%s", s.app.stdout.Paint(console.Dim, "$ cat "+file), policy)
	if err := s.run("The image that we signed", judge("check", image)...); err != nil {
		return err
	}
	if err := s.run("", judge("explain", image)...); err != nil {
		return err
	}
	if err := s.run("A copy of it that nobody signed", "oci", "push", copied, s.path("image")); err != nil {
		return err
	}
	err := s.run("", judge("check", copied)...)
	if code := seaworthy.CodeOf(err); code != seaworthy.Refused {
		return seaworthy.Errorf(seaworthy.Internal, "an image that nobody signed was judged, and the answer is %q: %w", code, err)
	}
	console.PrintError(s.app.stdout, err, false)
	return nil
}
