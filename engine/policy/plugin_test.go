package policy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// shell is what the plugins of these tests are written in.
const shell = "/bin/sh"

// pluginDir makes a folder with one plugin, and skips the test where there is no shell.
func pluginDir(t *testing.T, script string) string {
	t.Helper()
	if _, err := os.Stat(shell); err != nil {
		t.Skip("there is no " + shell + " to write a plugin in")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("#!"+shell+"\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shown is an evidence that lists what refers to the image.
type shown struct {
	*world
	artifacts []Artifact
}

func (s shown) Artifacts(context.Context) ([]Artifact, error) { return s.artifacts, s.down }

const pluginVerifier = `apiVersion: config.ratify.deislabs.io/v1beta1
kind: Verifier
metadata: {name: v}
spec:
  name: mine
  artifactTypes: application/x-scan
  parameters: {level: 3, nested: {a: [b]}}
`

func TestPlugins(t *testing.T) {
	t.Setenv("CANARY", "canary-in-the-environment")
	const yes = `echo '{"isSuccess":true,"message":"fine"}'`
	for _, tc := range []struct {
		name, script string
		allowed      bool
		code         seaworthy.Code
		want         string
	}{
		{"yes", yes, true, "", ""},
		{"no", `echo '{"isSuccess":false,"message":"not fine","errorReason":"CVE-1","remediation":"update"}'`, false, "", "not fine; CVE-1 | missing [] | fix update"},
		{"the environment is the protocol's alone", `if [ -n "$CANARY$PATH_CANARY$HOME$USER" ]; then echo '{"isSuccess":false,"message":"it inherits"}'; exit; fi
[ "$RATIFY_VERIFIER_COMMAND" = VERIFY ] && [ "$RATIFY_VERIFIER_VERSION" = 1.0.0 ] || exit 9
echo "{\"isSuccess\":false,\"message\":\"subject $RATIFY_VERIFIER_SUBJECT\"}"`, false, "", "subject registry.example/team/app@" + string(digest)},
		{"what it reads", `IFS= read -r line
case "$line" in *'"level":3'*) ;; *) echo '{"isSuccess":false,"message":"no parameters"}'; exit;; esac
case "$line" in *'"artifactTypes":"application/x-scan"'*'"name":"mine"'*'"artifactType":"application/x-scan"'*'"storeConfig"'*'"version":"1.0.0"'*) ` + yes + `;; *) echo '{"isSuccess":false,"message":"another order"}';; esac`, true, "", ""},
		{"a yes on stderr is none", `echo '{"isSuccess":true}' >&2; echo '{"isSuccess":false,"message":"stdout counts"}'`, false, "", "stdout counts"},
		{"only on stderr", `echo '{"isSuccess":true}' >&2`, false, seaworthy.Invalid, "there is no JSON object in it"},
		{"stderr does not corrupt", `echo '{"level":"info"}' >&2; ` + yes + `; echo '{"level":"info"}' >&2`, true, "", ""},
		{"text before", `echo starting; ` + yes, true, "", ""},
		{"two answers", yes + `; echo '{"isSuccess":true}'`, false, seaworthy.Invalid, "not one JSON object"},
		{"text after", yes + `; echo done`, false, seaworthy.Invalid, "not one JSON object"},
		{"isSuccess twice", `echo '{"isSuccess":false,"isSuccess":true}'`, false, seaworthy.Invalid, "duplicate"},
		{"isSuccess in another case", `echo '{"issuccess":true}'`, false, seaworthy.Invalid, "does not say isSuccess"},
		{"isSuccess as text", `echo '{"isSuccess":"true"}'`, false, seaworthy.Invalid, "not one JSON object"},
		{"nothing", `:`, false, seaworthy.Invalid, "no JSON object"},
		{"an error of the protocol", `echo '{"code":4,"msg":"no such blob","details":"sha256:1"}'; exit 1`, false, seaworthy.Invalid, "failed (code 4): no such blob sha256:1"},
		{"a yes, and a failure", yes + `; exit 1`, false, seaworthy.Invalid, "failed: exit status 1"},
		{"a crash", `kill -9 $$`, false, seaworthy.Invalid, "signal: killed"},
		{"words on stderr and a failure", `echo "cannot open" >&2; exit 3`, false, seaworthy.Invalid, `exit status 3: "cannot open"`},
		{"for ever", `while :; do :; done`, false, seaworthy.TooLarge, "took longer than"},
		{"a child that keeps the pipes", `(while :; do :; done) & ` + yes, true, "", ""},
		{"a flood", `while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`, false, seaworthy.TooLarge, "printed more than 1048576 bytes"},
		{"a flood on stderr", `i=0; while [ $i -lt 20000 ]; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done; ` + yes, true, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := pluginDir(t, tc.script)
			s, mistakes := Load([]File{{"v.yaml", []byte(pluginVerifier)}}, Options{PluginDirs: []string{filepath.Join(dir, "nothing"), dir}})
			if len(mistakes) > 0 {
				t.Fatal(lines(mistakes))
			}
			p := s.policies[0].(*verifierPolicy).plugin
			p.limit, p.hold = 700*time.Millisecond, 50*time.Millisecond
			if strings.Contains(tc.name, "flood") {
				p.limit = 20 * time.Second
			}
			v, err := s.Decide(t.Context(), anImage(), shown{newWorld(t), []Artifact{{MediaType: "m", Digest: digest, Size: 3, ArtifactType: "application/x-scan"}, {ArtifactType: "other"}}}, now)
			if err != nil {
				t.Fatal(err)
			}
			if v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) || tc.code != "" && !strings.Contains(reasons(v), "| "+string(tc.code)+"\n") {
				t.Errorf("allowed %t, want %t (%s, %s):\n%s", v.Allowed, tc.allowed, tc.want, tc.code, reasons(v))
			}
			if strings.Contains(reasons(v), "canary") {
				t.Error("it saw the environment")
			}
		})
	}
}

func TestPluginsOfSomeArtifacts(t *testing.T) {
	dir := pluginDir(t, `IFS= read -r line
case "$line" in *'"size":1'*) echo '{"isSuccess":true}';; *) echo '{"isSuccess":false,"message":"too long"}';; esac`)
	s, _ := Load([]File{{"v.yaml", []byte(pluginVerifier)}}, Options{PluginDirs: []string{dir}})
	artifact := func(size int64, typ string) Artifact {
		return Artifact{Digest: seaworthy.SHA256([]byte{byte(size)}), Size: size, ArtifactType: typ}
	}
	many := make([]Artifact, maxArtifacts+1)
	for i := range many {
		many[i] = artifact(1, "application/x-scan")
	}
	for _, tc := range []struct {
		name      string
		artifacts []Artifact
		allowed   bool
		want      string
	}{
		{"one", []Artifact{artifact(1, "application/x-scan"), artifact(2, "other")}, true, ""},
		{"one of two", []Artifact{artifact(1, "application/x-scan"), artifact(2, "application/x-scan")}, false, "too long"},
		{"none", []Artifact{artifact(1, "other")}, false, "nothing of this type refers to the image"},
		{"too many", many, false, "more than the 32"},
	} {
		v, err := s.Decide(t.Context(), anImage(), shown{newWorld(t), tc.artifacts}, now)
		if err != nil || v.Allowed != tc.allowed || !strings.Contains(reasons(v), tc.want) {
			t.Errorf("%s: %s, %v", tc.name, reasons(v), err)
		}
	}
	// without a list, the manifests of the bills are shown
	w := newWorld(t)
	w.bills = []Bill{{ArtifactType: "application/x-scan", Manifest: digest}}
	if v, err := s.Decide(t.Context(), anImage(), w, now); err != nil || v.Allowed || !strings.Contains(reasons(v), "too long") {
		t.Errorf("by the bills: %s, %v", reasons(v), err)
	}
}

// TestPluginFiles: what may be run, and that its content is part of the generation.
func TestPluginFiles(t *testing.T) {
	dir := pluginDir(t, "exit 0\n")
	load := func() (string, []Mistake) {
		s, mistakes := Load([]File{{"v.yaml", []byte(pluginVerifier)}}, Options{PluginDirs: []string{dir}})
		return s.Generation(), mistakes
	}
	first, _ := load()
	name := filepath.Join(dir, "mine")
	if err := os.WriteFile(name, []byte("#!"+shell+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if second, _ := load(); second == first {
		t.Error("the generation does not change with the plugin")
	}
	for mode, want := range map[os.FileMode]string{0o644: "is no program", 0o777: "may be written by others", 0o775: "may be written by others"} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, mistakes := load(); !strings.Contains(lines(mistakes), want) {
			t.Errorf("mode %o: %s", mode, lines(mistakes))
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, mistakes := load(); !strings.Contains(lines(mistakes), `no plugin "mine"`) {
		t.Errorf("no file: %s", lines(mistakes))
	}
}
