package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// timeline draws the periods for which certificates are valid. Its numbers are units of the SVG's
// own coordinates, in which a character is about 7 wide.
type timeline struct {
	Width, Height int
	Top, Bottom   int // of the lines
	Now           int
	Ticks         []timelineTick
	Rows          []timelineRow
	More          int // certificates that are not drawn; they end later
}

type timelineTick struct {
	X    int
	Text string
}

type timelineRow struct {
	Name, Detail, Full string
	Ends               string
	State              audit.Verdict // fail: over; unknown: due; pass
	Y, X, BarWidth     int
	Before, After      bool // it goes on beyond the window
}

const (
	timelineWidth = 960
	timelineLeft  = 270 // where the bars begin
	timelineRight = 790 // and end
	timelineRowHeight,
	timelineTop = 40, 34
	timelineRows = 40

	timelineDay = 24 * time.Hour
	// The window is what an operator plans for: it shows leaves of 90 days and issuing CAs of a
	// year completely. A root extends beyond its edge.
	windowBefore, windowAfter = 95 * timelineDay, 400 * timelineDay
)

// timelineOf returns a drawing with each certificate once. The first to end is on top.
func timelineOf(r audit.Report) timeline {
	type served struct {
		audit.ServedCertificate
		by []string
	}
	var certificates []served
	for _, l := range r.Inventory.Listeners {
		for _, cert := range slices.Concat(l.Chains()...) {
			at := slices.IndexFunc(certificates, func(s served) bool { return s.SHA256 == cert.SHA256 })
			if at < 0 {
				at = len(certificates)
				certificates = append(certificates, served{ServedCertificate: cert})
			}
			if by := certificates[at].by; !slices.Contains(by, l.Target) {
				certificates[at].by = append(by, l.Target)
			}
		}
	}
	slices.SortStableFunc(certificates, func(a, b served) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Subject, b.Subject))
	})
	t := timeline{Width: timelineWidth, Top: timelineTop}
	if more := len(certificates) - timelineRows; more > 0 {
		t.More = more
		certificates = certificates[:timelineRows]
	}
	if len(certificates) == 0 {
		return t
	}
	w := windowOf(r.FinishedAt)
	for i, cert := range certificates {
		row := w.row(cert.ServedCertificate, r.FinishedAt)
		row.Y = timelineTop + i*timelineRowHeight
		row.Detail = servedBy(cert.by)
		row.Full = fmt.Sprintf("%s, issued by %s, %s, serial %s, %s to %s, served by %v", cert.Subject, cert.Issuer, cert.Key,
			cert.Serial, cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly), cert.by)
		t.Rows = append(t.Rows, row)
	}
	t.Bottom = timelineTop + len(certificates)*timelineRowHeight
	t.Height = t.Bottom + 24
	t.Now = w.x(r.FinishedAt)
	t.Ticks = w.ticks()
	return t
}

func servedBy(targets []string) string {
	if len(targets) == 1 {
		return cutMiddle(targets[0], 36)
	}
	return fmt.Sprintf("%s and %s", cutMiddle(targets[0], 22), counted(len(targets)-1, "other"))
}

type window struct{ from, to time.Time }

func windowOf(now time.Time) window {
	return window{now.Add(-windowBefore).UTC(), now.Add(windowAfter).UTC()}
}

// x returns the position of a time within the window.
func (w window) x(at time.Time) int {
	share := float64(at.Sub(w.from)) / float64(w.to.Sub(w.from))
	return timelineLeft + int(min(max(share, 0), 1)*(timelineRight-timelineLeft))
}

func (w window) row(cert audit.ServedCertificate, now time.Time) timelineRow {
	left, lifetime := cert.NotAfter.Sub(now), cert.NotAfter.Sub(cert.NotBefore)
	row := timelineRow{
		Name:   cutMiddle(commonName(cert.Subject), 36),
		X:      w.x(cert.NotBefore),
		Before: cert.NotBefore.Before(w.from),
		After:  cert.NotAfter.After(w.to),
		Ends:   fmt.Sprintf("%s, %s", cert.NotAfter.UTC().Format(time.DateOnly), counted(int(left/timelineDay), "day")),
		State:  audit.Pass,
	}
	row.BarWidth = max(w.x(cert.NotAfter)-row.X, 3)
	switch {
	case left < 0:
		row.State = audit.Fail
		row.Ends = cert.NotAfter.UTC().Format(time.DateOnly) + ", over"
	case now.Before(cert.NotBefore):
		row.State = audit.Fail
		row.Ends = "from " + cert.NotBefore.UTC().Format(time.DateOnly)
	// As the check cert-expiry has it: a third of the lifetime, or a week.
	case left < lifetime/3 || left < 7*timelineDay:
		row.State = audit.Unknown
	}
	return row
}

// ticks returns the first day of every second month.
func (w window) ticks() []timelineTick {
	var ticks []timelineTick
	at := time.Date(w.from.Year(), w.from.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	for ; at.Before(w.to); at = at.AddDate(0, 2, 0) {
		ticks = append(ticks, timelineTick{w.x(at), at.Format("Jan 06")})
	}
	return ticks
}
