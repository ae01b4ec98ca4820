package web

import (
	"context"
	"os/exec"
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
	if testing.Short() {
		t.Skip("starts a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: chromium is missing, so nobody has looked at the page; it is in the Debian package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("force-prefers-reduced-motion", true), chromedp.Flag("hide-scrollbars", true))
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
			text = e.Entry.Text + " " + e.Entry.URL
		case *runtime.EventExceptionThrown:
			text = "exception: " + e.ExceptionDetails.Text
			if e.ExceptionDetails.Exception != nil {
				text += " " + e.ExceptionDetails.Exception.Description
			}
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
// is refused by the page's policy, and that is heard. What a page asks for and the server refuses is said by the
// browser as well; refused names the addresses of which that was meant.
func quiet(t *testing.T, ctx context.Context, said chan string, refused ...string) {
	t.Helper()
	const probe = `(()=>{document.body.appendChild(new Image()).src="https://example.invalid/x.png"})()`
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](probe)); err != nil {
		t.Fatal(err)
	}
next:
	for {
		select {
		case text := <-said:
			if strings.Contains(text, "Content Security Policy") && strings.Contains(text, "example.invalid") {
				return
			}
			for _, meant := range refused {
				if strings.Contains(text, "Failed to load resource") && strings.Contains(text, meant) {
					continue next
				}
			}
			t.Errorf("the browser complains: %s", text)
		case <-time.After(time.Minute):
			t.Fatal("the browser did not refuse a picture from outside")
		}
	}
}

// emulate sets what the system prefers: light or dark.
func emulate(theme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return chromedp.Void{}, err
	}
}

// until waits until an expression is true.
func until(expression string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(20*time.Second))(ctx, t)
		return chromedp.Void{}, err
	}
}

// settled waits until the page shows what it has to show.
func settled() chromedp.Action[chromedp.Void] {
	return until(`document.querySelector("main")?.textContent.trim() && !document.querySelector(".wait, .busy") && document.fonts.status === "loaded"`)
}
