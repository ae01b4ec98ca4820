package inspect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

// evil is what no name may do: steer a terminal, turn the reading direction, leave an element, a string or a
// script of the page.
const evil = "\x1b[2J\x1b]0;owned\x07\u202e\u2066\u009b31m\u2028</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onmouseover='alert(3)' {{.}} \r"

// hostile is an image with evil in every name it can have.
func hostile(t *testing.T) *inspect.Report {
	t.Helper()
	name, err := json.Marshal("n" + evil)
	if err != nil {
		t.Fatal(err)
	}
	img := memory(t,
		makeimage.Layer{
			Files: []makeimage.File{
				file("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian "+strings.NewReplacer("\r", "", "\u2028", "", `"`, "").Replace(evil)+"\"\n"),
				file("srv/"+evil+"/node_modules/a/package.json", `{"name":`+string(name)+`,"version":`+string(name)+`,"license":`+string(name)+`,"author":`+string(name)+`}`),
				file("srv/"+evil+"/broken.jar", "PK\x03\x04 and no more than that, but long enough"),
				{Path: "opt/" + evil, Body: []byte("\x7fELF"), Mode: 0o755},
				{Path: "opt/link", Hardlink: "no/" + evil},
			},
			History: "RUN " + evil,
		},
		makeimage.Layer{Whiteouts: []string{"srv/" + evil + "/node_modules/a/package.json"}, History: "COPY " + evil},
		makeimage.Layer{Files: []makeimage.File{file("app/node_modules/b/package.json", `{"name":`+string(name)+`,"version":"1","license":"MIT"}`)}, History: "#(nop) " + evil},
	)
	img.Name, img.Reference, img.Tags, img.Author = "target"+evil, "ref"+evil, []string{"t" + evil}, evil
	img.Labels = map[string]string{"l" + evil: evil}
	img.Layers[0].Size++ // and a problem that names the layer
	r, err := inspect.Image(t.Context(), img, inspect.Options{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Packages) != 1 || len(r.Problems) < 2 {
		t.Fatalf("%d packages, problems %v: the image does not hold what it should", len(r.Packages), r.Problems)
	}
	return r
}

// steers finds a character that a terminal or a reader's eye would obey.
func steers(s string) (at int, is bool) {
	at = strings.IndexFunc(s, func(r rune) bool {
		return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x202e || r == 0x2066
	})
	return at, at >= 0
}

func TestNothingSteersTheText(t *testing.T) {
	r := hostile(t)
	got := text(t, r, 0)
	if at, is := steers(got); is {
		t.Errorf("the text holds %q", got[max(0, at-40):min(len(got), at+20)])
	}
	for _, want := range []string{`\x1b[2J`, `\u202e`} {
		if !strings.Contains(got, want) {
			t.Errorf("the text does not show %s", want)
		}
	}
	for _, problem := range r.Problems {
		if _, is := steers(problem.Detail); is && strings.Contains(problem.Detail, "\x1b") {
			t.Errorf("a problem quotes a name as it is: %q", problem.Detail)
		}
	}
}

// TestNothingLeavesItsPlaceInThePage parses the page as a browser does: all elements and attributes must be the
// template's own.
func TestNothingLeavesItsPlaceInThePage(t *testing.T) {
	var b strings.Builder
	if err := hostile(t).HTML(&b); err != nil {
		t.Fatal(err)
	}
	if at, is := steers(b.String()); is {
		t.Errorf("the page holds %q", b.String()[max(0, at-40):at+20])
	}
	root, err := html.Parse(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	scripts, shown := 0, 0
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data != "script" && strings.Contains(n.Data, "</script><script>alert(1)") {
				shown++
			}
		case html.ElementNode:
			switch n.Data {
			case "script":
				scripts++
				if strings.Contains(n.FirstChild.Data, "alert") {
					t.Error("a name is in the script")
				}
			case "img", "iframe", "link", "object", "form", "svg", "base":
				t.Errorf("the page has a %s", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("the page's %s has %s=%q", n.Data, a.Key, a.Val)
				}
				if a.Key == "style" && strings.Contains(a.Val, "alert") {
					t.Errorf("a name is in the style %q", a.Val)
				}
			}
		}
	}
	if scripts != 1 || shown == 0 {
		t.Errorf("%d scripts, the name shown %d times; want one, and at least once", scripts, shown)
	}
}
