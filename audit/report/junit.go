package report

import (
	"encoding/xml"
	"io"
	"strconv"

	"github.com/etcdsec/etcdsec/audit"
)

// JUnit writes JUnit XML for a CI: a suite for each target, a case for each check. What
// failed is a failure, what is unknown an error, what is waived or does not apply skipped.
type JUnit struct{}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"` // seconds
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Timestamp string      `xml:"timestamp,attr"` // ISO 8601 without a zone, in UTC
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitOutcome `xml:"failure"`
	Error   *junitOutcome `xml:"error"`
	Skipped *junitOutcome `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitOutcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Render implements Renderer.
func (JUnit) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	suites := junitSuites{
		Name: r.Tool.Name + " audit",
		Time: strconv.FormatFloat(r.FinishedAt.Sub(r.StartedAt).Seconds(), 'f', 3, 64),
	}
	for _, g := range groupByTarget(r.Results) {
		suite := junitSuite{
			Name:      g.target,
			Tests:     len(g.results),
			Failures:  g.count[audit.Fail],
			Errors:    g.count[audit.Unknown],
			Skipped:   g.count[audit.Skip] + g.count[waived],
			Timestamp: r.StartedAt.UTC().Format("2006-01-02T15:04:05"),
		}
		for _, result := range g.results {
			suite.Cases = append(suite.Cases, junitCaseOf(result))
		}
		suites.Tests += suite.Tests
		suites.Failures += suite.Failures
		suites.Errors += suite.Errors
		suites.Skipped += suite.Skipped
		suites.Suites = append(suites.Suites, suite)
	}
	data, err := xml.MarshalIndent(suites, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(data)+"\n")
	return err
}

func junitCaseOf(result audit.Result) junitCase {
	c := junitCase{Name: result.CheckID, Class: "etcdsec"}
	if result.Kind != "" {
		c.Class += "." + string(result.Kind)
	}
	switch verdictOf(result) {
	case audit.Fail:
		c.Failure = &junitOutcome{
			Message: result.Title,
			Type:    string(result.Severity),
			Text:    result.Evidence + "\n\n" + result.Remediation.String(),
		}
	case audit.Unknown:
		c.Error = &junitOutcome{Message: result.Evidence, Type: string(audit.Unknown), Text: result.Title}
	case audit.Skip:
		c.Skipped = &junitOutcome{Message: result.Evidence}
	case waived:
		c.Skipped = &junitOutcome{Message: "waived " + waiverText(result.Waiver)}
		c.Output = result.Title + ": " + result.Evidence
	default:
		c.Output = result.Evidence
	}
	return c
}
