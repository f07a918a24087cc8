package report

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Prometheus writes the text format for node_exporter's textfile collector.
type Prometheus struct{}

// Render implements Renderer.
func (Prometheus) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	results := newGauge("etcdsec_audit_result", "1 for the verdict of each check on each target.")
	expires := newGauge("etcdsec_audit_waiver_expires_timestamp_seconds", "When the waiver of a finding ends.")
	counts := newGauge("etcdsec_audit_results", "How many results have a verdict.")
	total := map[audit.Verdict]int{}
	for _, result := range worstFirst(r.Results) {
		verdict := verdictOf(result)
		total[verdict]++
		results.add(1, "check", result.CheckID, "target", result.Target, "severity", string(result.Severity), "verdict", string(verdict))
		if result.Waiver != nil {
			expires.add(seconds(result.Waiver.Expires), "check", result.CheckID, "target", result.Target)
		}
	}
	for _, verdict := range shownVerdicts() {
		counts.add(float64(total[verdict]), "verdict", string(verdict))
	}

	notAfter := newGauge("etcdsec_audit_certificate_not_after_timestamp_seconds", "When a certificate of the chain that a port serves ends; position 0 is the leaf.")
	requests := newGauge("etcdsec_audit_listener_requests_certificate", "1 if a port asks TLS clients for a certificate.")
	plaintext := newGauge("etcdsec_audit_listener_plaintext", "1 if a port answers without TLS.")
	for _, l := range r.Inventory.Listeners {
		requests.add(truth(l.RequestsCertificate), "target", l.Target, "kind", string(l.Kind))
		plaintext.add(truth(l.Plaintext), "target", l.Target, "kind", string(l.Kind))
		for _, cert := range slices.Concat(l.Chains()...) {
			notAfter.add(seconds(cert.NotAfter), "target", l.Target, "position", strconv.Itoa(cert.Position), "subject", cert.Subject, "serial", cert.Serial)
		}
	}

	last := newGauge("etcdsec_audit_last_run_timestamp_seconds", "When the audit ended.")
	last.add(seconds(r.FinishedAt))
	for _, g := range []*gauge{results, counts, expires, notAfter, requests, plaintext, last} {
		if len(g.family.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(w, g.family); err != nil {
			return err
		}
	}
	return nil
}

// gauge is a family of distinct series: the collector drops a file that has a series twice.
type gauge struct {
	family *dto.MetricFamily
	seen   map[string]bool
}

func newGauge(name, help string) *gauge {
	return &gauge{
		family: &dto.MetricFamily{Name: new(name), Help: new(help), Type: dto.MetricType_GAUGE.Enum()},
		seen:   map[string]bool{},
	}
}

// add adds a series unless it exists. The labels are names and values in turn.
func (g *gauge) add(value float64, labels ...string) {
	key := strings.Join(labels, "\x00")
	if g.seen[key] {
		return
	}
	g.seen[key] = true
	metric := &dto.Metric{Gauge: &dto.Gauge{Value: new(value)}}
	for i := 0; i+1 < len(labels); i += 2 {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: new(labels[i]), Value: new(labels[i+1])})
	}
	g.family.Metric = append(g.family.Metric, metric)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }
