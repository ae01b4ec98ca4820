package grade

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser starts Debian's Chromium, and gives what its log says of the page: refusals by the content security
// policy, exceptions, words to the console.
func browser(t *testing.T) (context.Context, chan string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: chromium is missing, so nobody has looked at the page; it is in the Debian package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	err = chromedp.Listen(ctx, func(event any) {
		text := ""
		switch e := event.(type) {
		case *cdplog.EventEntryAdded:
			text = e.Entry.Text
		case *runtime.EventExceptionThrown:
			text = "exception: " + e.ExceptionDetails.Text
		case *runtime.EventConsoleAPICalled:
			text = "console: " + string(e.Type)
		default:
			return
		}
		select {
		case said <- text:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, said
}

// quiet demands that the browser has nothing to say, and then proves that it would have: a picture from outside
// is refused by the page's policy, and that is heard.
func quiet(t *testing.T, ctx context.Context, said chan string) {
	t.Helper()
	const probe = `(()=>{document.body.appendChild(new Image()).src="https://example.invalid/x.png"})()`
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](probe)); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case text := <-said:
			if strings.Contains(text, "Content Security Policy") && strings.Contains(text, "example.invalid") {
				return
			}
			t.Errorf("the browser complains: %s", text)
		case <-time.After(time.Minute):
			t.Fatal("the browser did not refuse a picture from outside")
		}
	}
}

// pageFile writes the sample's page into a file and gives its address.
func pageFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := sample(t, nil).HTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return "file://" + name
}

const (
	idsShown = `Array.from(document.querySelectorAll("#finding-table tbody.f")).filter(b=>b.offsetParent!==null).map(b=>b.rows[0].cells[1].textContent.match(/CVE-\d+-\d+/)[0]).join(" ")`
	views    = `Array.from(document.querySelectorAll(".tabs>section")).filter(s=>!s.hidden).map(s=>s.id).join(" ")`
	tooWide  = `String(document.documentElement.scrollWidth>document.documentElement.clientWidth)`
)

// click clicks a thing by script, for chromedp's own click waits for layout that a test has no need of.
func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// search types into the search field.
func search(words string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(f=>{f.value=%q;f.dispatchEvent(new Event("input"))})(document.querySelector(".find"))`, words))
}

func TestPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx, said := browser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(pageFile(t)), chromedp.WaitReady("#finding-table")); err != nil {
		t.Fatal(err)
	}
	see := func(what, script, want string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	see("at first", idsShown, "CVE-2024-2 CVE-2024-1 CVE-2024-3")
	see("one view at a time", views, "findings")
	see("words of the summary", idsShown, "CVE-2024-1", search("overflow ALPHA"))
	see("how many", `document.querySelector(".shown").textContent`, "1 of 3 shown")
	see("no such word", idsShown, "", search("xyzzy"))
	see("the search taken back", idsShown, "CVE-2024-2 CVE-2024-1 CVE-2024-3", search(""))
	see("without critical ones", idsShown, "CVE-2024-2 CVE-2024-3", click(`[data-severity=critical].chip`))
	see("repairable ones only", idsShown, "CVE-2024-3", click(`[data-only=fixable]`))
	see("exploited ones that can be repaired", idsShown, "", click(`[data-only=kev]`))
	see("all again", idsShown, "CVE-2024-2 CVE-2024-1 CVE-2024-3", click(`[data-severity=critical].chip`), click(`[data-only=fixable]`), click(`[data-only=kev]`))
	see("worst severity first", idsShown, "CVE-2024-1 CVE-2024-3 CVE-2024-2", click(`#finding-table th:nth-child(1)`))
	see("least severity first", idsShown, "CVE-2024-2 CVE-2024-3 CVE-2024-1", click(`#finding-table th:nth-child(1)`))
	see("by name of the vulnerability", idsShown, "CVE-2024-1 CVE-2024-2 CVE-2024-3", click(`#finding-table th:nth-child(2)`))
	see("which column", `document.querySelector("#finding-table th[aria-sort=ascending]").textContent`, "Vulnerability")
	see("lowest risk first", idsShown, "CVE-2024-3 CVE-2024-2 CVE-2024-1", click(`#finding-table th:nth-child(8)`), click(`#finding-table th:nth-child(8)`))
	const details = `String(document.querySelector("#finding-table .more dl").offsetParent!==null)`
	see("details are closed", details, "false")
	see("details are open", details, "true", click("#finding-table .f tr"))
	for _, view := range []string{"packages", "layers", "licences", "suppressed", "about"} {
		see("the view "+view, views, view, click(`nav a[href="#`+view+`"]`))
	}
	const firstPackage = `document.querySelector("#packages tbody tr td:nth-child(2)").textContent`
	see("packages by version", firstPackage, "1.0", click(`#packages th:nth-child(2)`))
	see("packages by version, from the other end", firstPackage, "3", click(`#packages th:nth-child(2)`))
	for _, width := range []int64{1280, 1000, 800, 360} {
		for _, view := range []string{"findings", "packages", "layers", "licences", "suppressed", "about"} {
			see(fmt.Sprintf("at %d pixels, whether the view %s is wider than the window", width, view), tooWide, "false",
				chromedp.EmulateViewport(width, 900), click(`nav a[href="#`+view+`"]`))
		}
	}
	quiet(t, ctx, said)
}

func TestPageWithoutScript(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx, _ := browser(t)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(pageFile(t)), chromedp.WaitReady("#finding-table")); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Text("main"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CVE-2024-1", "Overflow in alpha", "Packages with findings", "RUN pip install", "AGPL-3.0-only", "Taken away by VEX", "About this report"} {
		if !strings.Contains(text, want) {
			t.Errorf("without script the page does not show %q", want)
		}
	}
}
