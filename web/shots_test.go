//go:build screenshots

package web

import (
	"fmt"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots keeps pictures of the pages in the folder that SEAWORTHY_SCREENSHOTS names, for people to look at.
// It is no test, so it has a tag of its own: go test -tags screenshots ./web. SEAWORTHY_SCREENSHOT restricts it to some, by name; SEAWORTHY_URL has the API of a server that runs answer.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SEAWORTHY_SCREENSHOTS")
	if folder == "" {
		t.Fatal("SEAWORTHY_SCREENSHOTS names no folder to keep screenshots in")
	}
	f, pages := newFake(t, true), shots()
	if real := os.Getenv("SEAWORTHY_URL"); real != "" {
		to, err := url.Parse(real)
		if err != nil {
			t.Fatal(err)
		}
		f.real = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	}
	if at := os.Getenv("SEAWORTHY_SCREENSHOT_PATH"); at != "" {
		pages = map[string]string{os.Getenv("SEAWORTHY_SCREENSHOT"): at}
	}
	ctx, _ := browser(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1600, 1000, 360} {
			for name, at := range pages {
				if only := os.Getenv("SEAWORTHY_SCREENSHOT"); only != "" && !strings.Contains(","+only+",", ","+name+",") {
					continue
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), emulate(theme), chromedp.Navigate(f.URL+at), settled()); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if step := steps[name]; step != "" {
					if err := chromedp.Do(ctx, run("%s", step), settled(), until(fmt.Sprintf(`%q!=="typed"||document.querySelector(".box .over [role=option]")`, name)), until(`document.getAnimations().every(a=>a.playState!=="running")`)); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func shots() map[string]string {
	q := url.QueryEscape
	return map[string]string{
		"home": "/", "found": "/?q=go", "nothing": "/?q=xyzzy", "nowhere": "/nowhere",
		"artifact": "/artifact?subject=" + q(image), "artifact-evidence": "/artifact?view=evidence&subject=" + q(image),
		"artifact-findings": "/artifact?view=findings&subject=" + q(image), "artifact-origin": "/artifact?view=origin&subject=" + q(image),
		"artifact-history": "/artifact?view=history&subject=" + q(image), "artifact-verify": "/artifact?view=verify&subject=" + q(image),
		"graph": "/graph?subject=" + q(image), "graph-opened": "/graph?subject=" + q(image) + "&expand=" + q(fileGroup),
		"graph-path": "/graph?show=path&to=CVE-2023-44487&subject=" + q(image), "graph-vast": "/graph?subject=vast", "graph-start": "/graph",
		"graph-source": "/graph?subject=" + q(image) + "&pick=048f11af43bef89c6022a786bd328090",
		"package":      "/package?subject=" + q("pkg:golang/golang.org/x/net"), "vuln": "/vuln?subject=CVE-2023-44487", "vuln-triage": "/vuln?view=triage&subject=CVE-2023-44487",
		"subject": "/subject?subject=" + q(source), "document": "/document?digest=" + scorecard, "many": "/artifact?view=findings&subject=many",
		"bills": "/bills", "diff": "/diff?subject=a&to=b", "fleet": "/fleet", "policies": "/policies", "decisions": "/policies?view=decisions",
		"log": "/log", "log-entry": "/log?index=3", "jobs": "/jobs", "error": "/artifact?subject=nothing",
		"typed": "/jobs", "drawer": "/artifact?view=findings&subject=" + q(image), "document-open": "/artifact?subject=" + q(image), "edge": "/graph?subject=" + q(image),
		"columns": "/bills", "chosen": "/bills",
	}
}

// steps are what is done before some pictures are taken.
var steps = map[string]string{
	"typed":         `const f=document.getElementById("search");f.focus();f.value="kube";f.dispatchEvent(new Event("input",{bubbles:true}))`,
	"drawer":        `document.querySelector("tbody tr").click()`,
	"document-open": `document.querySelector("aside .list button").click()`,
	"edge":          `[...document.querySelectorAll(".line .label")].find(l=>l.textContent.trim()==="built from").dispatchEvent(new MouseEvent("click",{bubbles:true}))`,
	"columns":       `[...document.querySelectorAll("button")].find(b=>b.textContent.trim()==="Columns").click()`,
	"chosen":        `document.querySelectorAll("tbody input")[0].click()`,
}
