package status

import (
	"io"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/etcdsec/etcdsec/pki"
)

// WritePrometheus writes the report in the text format, for node_exporter's textfile collector.
func (r Report) WritePrometheus(w io.Writer, now time.Time) error {
	ends := gauge("etcdsec_certificate_not_after_timestamp_seconds", "When a certificate or the first CA of its chain ends.")
	state := gauge("etcdsec_certificate_state", "1 for the state of the certificate, 0 for the others.")
	person := gauge("etcdsec_certificate_needs_person", "1 for a certificate of a store that is due and that no scheduled pki renew can renew, 0 for the others.")
	for _, row := range r.Certificates {
		labels := []*dto.LabelPair{label("source", row.Source), label("name", row.Name), label("role", row.Role), label("issuer", row.Issuer), label("serial", row.Serial)}
		if row.NotAfter != nil {
			ends.Metric = append(ends.Metric, value(float64(row.NotAfter.Unix()), labels...))
		}
		for _, s := range pki.States() {
			is := 0.0
			if row.State == s {
				is = 1
			}
			state.Metric = append(state.Metric, value(is, label("source", row.Source), label("name", row.Name), label("state", string(s))))
		}
	}
	for _, row := range r.Certificates {
		needs := 0.0
		if row.Remedy != nil && row.Remedy.Person {
			needs = 1
		}
		person.Metric = append(person.Metric, value(needs, label("source", row.Source), label("name", row.Name)))
	}
	last := gauge("etcdsec_status_last_run_timestamp_seconds", "When this file was written.")
	last.Metric = append(last.Metric, value(float64(now.Unix())))
	for _, family := range []*dto.MetricFamily{ends, state, person, last} {
		if len(family.Metric) == 0 {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}

func gauge(name, help string) *dto.MetricFamily {
	return &dto.MetricFamily{Name: new(name), Help: new(help), Type: dto.MetricType_GAUGE.Enum()}
}

func label(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: new(name), Value: new(value)}
}

func value(v float64, labels ...*dto.LabelPair) *dto.Metric {
	return &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: new(v)}}
}
