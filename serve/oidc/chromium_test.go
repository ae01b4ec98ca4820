package oidc

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seaworthy-dev/seaworthy/source/identity"
)

// TestInChromium logs in with a real browser, which alone knows what the page's content security policy forbids: the
// form's answer leads to another port. SEAWORTHY_SCREENSHOT names a file for a picture of the page.
func TestInChromium(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: chromium is missing, so nobody has logged in with it; it is in the Debian package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	patient, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	show := func(address string) error {
		if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
			return err
		}
		if name := os.Getenv("SEAWORTHY_SCREENSHOT"); name != "" {
			picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				return err
			}
			if err := os.WriteFile(name, picture, 0o644); err != nil {
				return err
			}
		}
		return chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`(()=>{
			document.querySelector("#email").value = "you@example.com"
			document.querySelector("button").click()
		})()`))
	}
	if _, err := identity.Browser(patient, identity.Login{Issuer: served(t), Show: show}); err != nil {
		t.Fatal(err)
	}
}
