package pages_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is Chromium over the files of a site, with no network.
type browser struct {
	t   *testing.T
	ctx context.Context
	dir string

	mu       sync.Mutex
	problems []string // console errors, exceptions and requests beyond the folder; guarded by mu
}

// openBrowser writes a site and starts Chromium. Without one the test is
// skipped, unless TALLYSTICK_E2E=required.
func openBrowser(t *testing.T, p *planted) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes its time: skipped by -short")
	}
	exe := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil {
			exe = at
			break
		}
	}
	if exe == "" {
		if os.Getenv("TALLYSTICK_E2E") == "required" {
			t.Fatal("there is no Chromium, and TALLYSTICK_E2E=required: install Debian's package chromium")
		}
		t.Skip("there is no Chromium: the pages are not looked at in a browser; install Debian's package chromium")
	}
	b := &browser{t: t, dir: t.TempDir()}
	for name, body := range write(t, p.in) {
		at := filepath.Join(b.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(exe), chromedp.NoSandbox, chromedp.WindowSize(1280, 900),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("proxy-server", "127.0.0.1:9"), // nothing listens there
		chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	b.ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Listen(b.ctx, b.event); err != nil {
		t.Fatal(err)
	}
	for _, command := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, runtime.Enable} {
		if _, err := chromedp.Call(b.ctx, command, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, problem := range b.problems {
			t.Error(problem)
		}
	})
	return b
}

func (b *browser) event(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console %s: %v", ev.Type, ev.Args))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.problems = append(b.problems, "log: "+ev.Entry.Text+" "+ev.Entry.URL)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, "file://"+b.dir+"/") && ev.Request.URL != "about:blank" {
			b.problems = append(b.problems, "asked for "+ev.Request.URL)
		}
	case *cdppage.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "a dialog: "+ev.Message)
	}
}

// do runs an action and gives what it gives.
func do[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// ask gives the value of an expression on the page.
func ask[T any](b *browser, script string) T {
	b.t.Helper()
	return do(b, chromedp.Evaluate[T](script))
}

// open shows a page by its name, which may have an anchor.
func (b *browser) open(name string) {
	b.t.Helper()
	// An anchor alone would not load the page again.
	do(b, chromedp.Navigate("about:blank"))
	do(b, chromedp.Navigate("file://"+b.dir+"/"+name))
}

// picture keeps a screenshot when TALLYSTICK_SCREENSHOTS names a folder.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("TALLYSTICK_SCREENSHOTS")
	if dir == "" {
		return
	}
	media := func(features ...*emulation.MediaFeature) {
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			b.t.Fatal(err)
		}
	}
	keep := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		media(&emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme})
		keep(name+"-"+scheme+".png", shot(b))
	}
	media()
	keep(name+".pdf", do(b, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground())))
}

// shot is the top of the page, as far as one looks; a page of 500 rows is a
// picture of 40,000 pixels.
func shot(b *browser) []byte {
	b.t.Helper()
	beyond := true
	clip := &cdppage.Viewport{Width: 1280, Height: min(4200, ask[float64](b, `document.documentElement.scrollHeight`)), Scale: 1}
	if y := ask[float64](b, `scrollY`); y > 0 {
		clip.Y, clip.Height = max(0, y-200), min(clip.Height, 1100)
	}
	got, err := chromedp.Call(b.ctx, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{Clip: clip, CaptureBeyondViewport: &beyond})
	if err != nil {
		b.t.Fatal(err)
	}
	return got.Data
}

// looked is the pages that the tests look at.
func looked() map[string]string {
	return map[string]string{
		"overview":    "index.html",
		"calendar":    "calendar--2.html",
		"control":     "controls/mfa-root.html",
		"never":       "controls/" + neverOccurred + ".html",
		"population":  "population/aws-s3-encryption-default.html",
		"observation": "observations/002-aws.s3_buckets-111122223333.html#o1",
		"exchange":    "exchanges/002-aws.s3_buckets-111122223333.html#e2",
		"deviations":  "deviations.html",
		"gaps":        "gaps.html",
		"unknowns":    "unknowns.html",
		"changes":     "changes.html",
		"scope":       "scope.html",
	}
}

// TestInChromium loads each sort of page. What a browser makes of the hostile
// bytes is told by the browser: the number of its scripts and images.
func TestInChromium(t *testing.T) {
	p := plant(t, 130)
	b := openBrowser(t, p)
	for name, at := range looked() {
		b.open(at)
		if n := ask[int](b, `document.scripts.length`); n != 1 {
			t.Errorf("%s: %d scripts", name, n)
		}
		if n := ask[int](b, `document.images.length + document.querySelectorAll("iframe,object,embed,link:not([rel=stylesheet]),base,form").length`); n != 0 {
			t.Errorf("%s: %d elements that load something", name, n)
		}
		if n := ask[int](b, `document.querySelectorAll("h1").length`); n != 1 {
			t.Errorf("%s: %d headings of the first level", name, n)
		}
		if n := ask[int](b, `Array.from(document.querySelectorAll("table")).filter(t => !t.caption || !t.querySelector("th[scope]")).length`); n != 0 {
			t.Errorf("%s: %d tables without a caption or a scope", name, n)
		}
		if w := ask[int](b, `document.documentElement.scrollWidth - innerWidth`); w > 0 {
			t.Errorf("%s: the page is %d pixels wider than the window", name, w)
		}
		b.picture(name)
	}
	b.open(looked()["exchange"])
	if !ask[bool](b, `document.getElementById("e2").closest("details").open`) {
		t.Error("the exchange that the link leads to is folded")
	}
	if text := ask[string](b, `document.querySelector("#e1 .body:last-of-type").textContent`); !strings.Contains(text, "<script>alert(5)</script>") {
		t.Errorf("the body as received reads %q", text)
	}
}

// TestKeyboard walks the overview with the tab key alone: every link is
// reached, and each shows that it is.
func TestKeyboard(t *testing.T) {
	b := openBrowser(t, plant(t, 3))
	for _, at := range []string{"index.html", "controls/mfa-root.html"} {
		b.open(at)
		links := ask[int](b, `document.links.length`)
		stops := ask[int](b, `(() => {
			window.reached = new Set(); window.bare = [];
			document.addEventListener("focusin", (e) => {
				reached.add(e.target);
				const s = getComputedStyle(e.target);
				if (!e.target.matches(":focus-visible") || s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) bare.push(e.target.outerHTML.slice(0, 80));
			});
			return document.querySelectorAll("a[href], summary, [tabindex='0'], input").length;
		})()`)
		do(b, chromedp.KeyEvent(strings.Repeat(kb.Tab, stops)))
		if n := ask[int](b, `Array.from(reached).filter(e => e.tagName === "A").length`); n != links {
			t.Errorf("%s: the tab key reached %d of %d links", at, n, links)
		}
		if bare := ask[[]string](b, `bare`); len(bare) > 0 {
			t.Errorf("%s: focus can not be seen on %v", at, bare)
		}
	}
}

// TestFiftyThousand: a population of 51,000 stays a
// page that a browser holds easily, and the filter works on it.
func TestFiftyThousand(t *testing.T) {
	if os.Getenv("TALLYSTICK_E2E") != "required" {
		t.Skip("50,000 resources take their time: they are looked at where TALLYSTICK_E2E=required")
	}
	b := openBrowser(t, plant(t, 50_000))
	const most = 16_000
	for _, at := range []string{
		"population/aws-s3-encryption-default.html", "population/aws-s3-encryption-default--102.html", "observations/002-aws.s3_buckets-111122223333--500.html",
		"exchanges/002-aws.s3_buckets-111122223333--2.html", "index.html", "calendar.html", "scope.html", "deviations.html", "changes.html", "controls/enc-rest-object-storage.html",
	} {
		b.open(at)
		if n := ask[int](b, `(() => { const w = document.createTreeWalker(document, NodeFilter.SHOW_ALL); let n = 0; while (w.nextNode()) n++; return n; })()`); n > most {
			t.Errorf("%s has %d nodes, more than %d", path.Base(at), n, most)
		} else {
			t.Logf("%s has %d nodes", path.Base(at), n)
		}
	}
	b.open("population/aws-s3-encryption-default.html")
	do(b, chromedp.SendKeys(chromedp.CSS("#filter"), "northwind-00123"))
	if got := ask[string](b, `document.querySelector("output").textContent`); got != "1 of 500 rows" {
		t.Errorf("the filter says %q", got)
	}
}
