//go:build e2e

// Package chromium looks at the HTML reports with a real browser. The pages are the golden
// files of audit/report, which its own tests compare with what is rendered.
package chromium

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
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
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const deadline = 30 * time.Second

//go:embed look.js
var look string

// seen is what look.js gives.
type seen struct {
	Title    string   `json:"title"`
	Sections []string `json:"sections"` // the IDs of what is visible
	Findings []string `json:"findings"` // their titles, as far as they are visible
	Drawn    int      `json:"drawn"`    // shapes of the SVGs
	Texts    int      `json:"texts"`    // that were looked at
	Faults   []string `json:"faults"`   // what is cut off, overlaps, cannot be read or runs out of the page
}

func TestPages(t *testing.T) {
	golden := filepath.Join("..", "..", "audit", "report", "testdata")
	browser := start(t)
	for _, c := range []struct {
		name, title string
		sections    []string
		findings    int
		drawn       int // at least
	}{
		{"clean", "etcd audit: Clean", []string{"summary"}, 0, 0},
		{"findings", "etcd audit: Findings, and questions without an answer", []string{"summary", "findings", "unknown"}, 2, 0},
		{"empty", "etcd audit: Nothing was audited", []string{"summary"}, 0, 0},
		{"cluster", "etcd audit: Findings, and questions without an answer", []string{"summary", "findings", "unknown", "waived", "certificates", "trust"}, 3, 30},
		{"hostile", "etcd audit: Findings, and questions without an answer", []string{"summary", "findings", "unknown", "waived", "certificates", "trust"}, 2, 10},
	} {
		path, err := filepath.Abs(filepath.Join(golden, c.name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		for _, scheme := range []string{"light", "dark"} {
			for width, device := range map[int64]string{1100: "desktop", 390: "phone"} {
				t.Run(c.name+"/"+scheme+"/"+device, func(t *testing.T) {
					got, events := visit(t, browser, "file://"+path, scheme, width, c.name+"-"+scheme+"-"+device)
					for _, e := range events {
						t.Error(e)
					}
					for _, fault := range got.Faults {
						t.Error(fault)
					}
					if got.Title != c.title || !slices.Equal(got.Sections, c.sections) || len(got.Findings) != c.findings || got.Drawn < c.drawn || got.Texts < 5 {
						t.Errorf("got %+v", got)
					}
				})
			}
		}
	}
}

// A look that finds nothing wrong with anything proves nothing.
func TestLookSeesFaults(t *testing.T) {
	browser := start(t)
	path := filepath.Join(t.TempDir(), "bad.html")
	const bad = `<!DOCTYPE html><title>bad</title><body style="background:#fff"><main>
<p style="color:#eee">pale</p><p style="width:9000px">wide</p><p style="width:30px;overflow:hidden;white-space:nowrap">cut off at its side</p>
<svg viewBox="0 0 100 50" width="100" height="50"><text x="90" y="20">runs out</text><g><rect width="20" height="20"/><text x="1" y="10">out of its box</text></g></svg>
<img src="http://127.0.0.1:1/x.png"><script>console.error("no")</script></main>`
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	got, events := visit(t, browser, "file://"+path, "light", 1100, "")
	faults := strings.Join(got.Faults, "\n")
	for _, want := range []string{"contrast", "wider than", "cut off", "out of the drawing", "out of its box"} {
		if !strings.Contains(faults, want) {
			t.Errorf("%q is not in %s", want, faults)
		}
	}
	all := strings.Join(events, "\n")
	for _, want := range []string{"requests http://127.0.0.1:1/x.png", "console"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %s", want, all)
		}
	}
}

// start runs a browser for a test.
func start(t *testing.T) context.Context {
	t.Helper()
	var binary string
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			binary = path
			break
		}
	}
	if binary == "" {
		t.Fatal("there is no Chromium; on Debian: apt-get install chromium-headless-shell")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(binary), chromedp.DisableGPU)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	browser, cancelBrowser := chromedp.NewContext(allocator)
	t.Cleanup(cancelBrowser)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// visit opens a page in a tab of its own and looks at it. The events are what a page that
// only shows something never causes.
func visit(t *testing.T, browser context.Context, url, scheme string, width int64, shot string) (seen, []string) {
	t.Helper()
	tab, closeTab := chromedp.NewContext(browser)
	defer closeTab()
	tab, cancel := context.WithTimeout(tab, deadline)
	defer cancel()

	var mu sync.Mutex
	var events []string
	add := func(e string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}
	err := chromedp.Listen(tab, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, url) && !strings.HasPrefix(e.Request.URL, "data:") {
				add("requests " + e.Request.URL)
			}
		case *runtime.EventConsoleAPICalled:
			add("console: " + string(e.Type))
		case *runtime.EventExceptionThrown:
			add("exception: " + e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			add("log: " + e.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			add("dialog: " + e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, image, err := show(tab, url, scheme, width)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" && shot != "" {
		if err := os.WriteFile(filepath.Join(dir, shot+".png"), image, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return got, slices.Clone(events)
}

func show(tab context.Context, url, scheme string, width int64) (got seen, image []byte, err error) {
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{runtime.Enable, log.Enable} {
		if _, err := chromedp.Call(tab, enable, cdp.Empty{}); err != nil {
			return got, nil, err
		}
	}
	if _, err := chromedp.Call(tab, network.Enable, network.EnableParams{}); err != nil {
		return got, nil, err
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, media); err != nil {
		return got, nil, err
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main"))); err != nil {
		return got, nil, err
	}
	if got, err = chromedp.Run(tab, chromedp.Evaluate[seen](look)); err != nil {
		return got, nil, err
	}
	image, err = chromedp.Run(tab, chromedp.FullScreenshot(100))
	return got, image, err
}
