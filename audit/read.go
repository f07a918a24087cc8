package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxReport limits the size of a report. A result takes about 2 KiB of JSON.
	maxReport = 512 << 20
	// maxField bounds a field of the report beside its results, and maxValue one result and
	// whatever is passed over. The decoder would keep a value of any length in memory, and
	// look through white space again with every read.
	maxField  = 64 << 20
	maxValue  = 1 << 20
	maxShards = 100_000
	// maxDepth of what is skipped, in a report of a later version.
	maxDepth = 100
)

var (
	errReportTooLarge = fmt.Errorf("larger than %d MiB", maxReport>>20)
	errValueTooLarge  = errors.New("it has a value that is too large for a report")
)

// ReadReport reads a [Report] as the JSON renderer writes it. It ignores unknown fields, because later
// versions add some; it is strict otherwise, and refuses a report whose summary does not match its
// results. Control characters become question marks, because a report may come from another host, and
// appears on a terminal.
func ReadReport(r io.Reader) (Report, error) { return readReport(r, maxReport) }

func readReport(r io.Reader, limit int64) (Report, error) {
	bounded := &boundedReader{r: r, left: limit}
	in := &reportReader{decoder: json.NewDecoder(bounded), bounded: bounded, interned: map[string]string{}}
	report, err := in.read()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if in.decoder.InputOffset() == 0 {
			return Report{}, errors.New("the file is empty")
		}
		return Report{}, errors.New("the file ends in the middle of the report: it was cut short")
	case err != nil:
		return Report{}, err
	}
	return report, nil
}

// boundedReader fails where an io.LimitReader would end: a report that is too large must not
// look like one that was cut short.
type boundedReader struct {
	r     io.Reader
	left  int64
	value int64 // of left, for the value that is read now
}

func (b *boundedReader) Read(p []byte) (int, error) {
	switch {
	case b.left <= 0:
		return 0, errReportTooLarge
	case b.value <= 0:
		return 0, errValueTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left, b.value)])
	b.left -= int64(n)
	b.value -= int64(n)
	return n, err
}

// reportReader reads one result after another, and keeps equal texts only once: a thousand targets have
// the same titles, and a fleet's reports must be merged in little memory.
type reportReader struct {
	decoder  *json.Decoder
	bounded  *boundedReader
	interned map[string]string
}

func (in *reportReader) read() (Report, error) {
	var r Report
	if err := in.opens('{'); err != nil {
		return Report{}, err
	}
	fields := map[string]any{
		"schema_version": &r.SchemaVersion, "tool": &r.Tool, "started_at": &r.StartedAt, "finished_at": &r.FinishedAt,
		"summary": &r.Summary, "inventory": &r.Inventory, "shard": &r.Shard,
	}
	seen := map[string]bool{}
	for in.more() {
		token, err := in.token()
		if err != nil {
			return Report{}, in.fault("", err)
		}
		field, _ := token.(string) // a key is nothing else
		if seen[field] {
			return Report{}, fmt.Errorf("the field %q appears twice", field)
		}
		into, known := fields[field]
		switch {
		case known:
			err = in.decode(into, maxField)
		case field == "results":
			r.Results, err = in.results()
		default:
			err = in.skip()
		}
		if err != nil {
			return Report{}, in.fault(field, err)
		}
		seen[field] = known || field == "results"
	}
	if _, err := in.token(); err != nil {
		return Report{}, in.fault("", err)
	}
	if _, err := in.token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("unexpected data after the report; a file holds one report")
	}
	for _, field := range []string{"schema_version", "tool", "started_at", "finished_at", "results", "summary"} {
		if !seen[field] {
			return Report{}, fmt.Errorf("not an audit report: it has no %q (want the output of `etcdsec audit run -o json`)", field)
		}
	}
	if r.Inventory.Listeners == nil {
		r.Inventory.Listeners = []InventoryListener{} // the first reports had none
	}
	r.Tool.Name, r.Tool.Version = cleanText(r.Tool.Name), cleanText(r.Tool.Version)
	return r, checkReport(r)
}

func checkReport(r Report) error {
	switch {
	case r.SchemaVersion != SchemaVersion:
		return fmt.Errorf("unknown schema_version %d; want %d (a newer etcdsec wrote it)", r.SchemaVersion, SchemaVersion)
	case r.Tool.Name != ToolName:
		return fmt.Errorf("the report comes from %q, not from %s", r.Tool.Name, ToolName)
	case r.Shard != nil && (r.Shard.Index < 0 || r.Shard.Index >= r.Shard.Count || r.Shard.Count > maxShards):
		return fmt.Errorf("shard: there is no index %d of %d", r.Shard.Index, r.Shard.Count)
	case r.Summary != summarize(r.Results):
		return errors.New("the summary does not match the results: the report was changed by hand or damaged")
	}
	return nil
}

// fault adds the position of a value that could not be read.
func (in *reportReader) fault(field string, err error) error {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errReportTooLarge), errors.Is(err, errValueTooLarge), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", in.decoder.InputOffset(), err)
	case errors.As(err, &wrongType):
		kind, _, _ := strings.Cut(wrongType.Value, " ") // a number follows itself
		return fmt.Errorf("%s: got a %s, want a %s, before byte %d", cleanText(strings.TrimSuffix(field+"."+wrongType.Field, ".")), kind, wrongType.Type, in.decoder.InputOffset())
	case field != "":
		return fmt.Errorf("%s: %w", cleanText(field), err)
	default:
		return err
	}
}

func (in *reportReader) token() (json.Token, error) {
	in.bounded.value = maxValue
	return in.decoder.Token()
}

func (in *reportReader) decode(into any, limit int64) error {
	in.bounded.value = limit
	return in.decoder.Decode(into)
}

// more reports whether there is another element or field. It reads the white space before it.
func (in *reportReader) more() bool {
	in.bounded.value = maxValue
	return in.decoder.More()
}

func (in *reportReader) opens(delim json.Delim) error {
	token, err := in.token()
	if err != nil {
		return in.fault("", err)
	}
	if token != delim {
		got := "another value" // which may be anything, where it is no report
		if _, is := token.(json.Delim); is || token == nil {
			got = fmt.Sprint(token)
		}
		return fmt.Errorf("got %q, want %q", got, delim.String())
	}
	return nil
}

func (in *reportReader) results() ([]Result, error) {
	if err := in.opens('['); err != nil {
		return nil, err
	}
	results := []Result{}
	for in.more() {
		var r Result
		if err := in.decode(&r, maxValue); err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(results), err)
		}
		if r.Remediation == nil {
			r.Remediation = splitLines(r.RemediationText)
		}
		if err := checkResult(r); err != nil {
			return nil, fmt.Errorf("[%d].%w", len(results), err)
		}
		in.tidy(&r)
		results = append(results, r)
	}
	_, err := in.token()
	return results, err
}

func checkResult(r Result) error {
	switch {
	case r.CheckID == "":
		return errors.New("check_id: is missing")
	case r.Target == "":
		return errors.New("target: is missing")
	case r.Fingerprint == "":
		return errors.New("fingerprint: is missing")
	case !slices.Contains(Verdicts(), r.Verdict):
		return fmt.Errorf("verdict: %.40q is not a verdict", r.Verdict)
	case r.Severity.Rank() < 0:
		return fmt.Errorf("severity: %.40q is not a severity", r.Severity)
	case r.Remediation.String() != r.RemediationText || slices.ContainsFunc(r.Remediation, func(l Line) bool { return strings.Contains(l.Text, "\n") }):
		return errors.New("remediation_lines: they differ from remediation")
	case r.Waiver != nil && r.Verdict != Fail:
		return fmt.Errorf("waiver: a result with the verdict %s cannot be waived", r.Verdict)
	}
	return nil
}

// tidy removes control characters from the texts of a result, and keeps equal texts only once.
func (in *reportReader) tidy(r *Result) {
	kind := string(r.Kind)
	texts := []*string{&r.CheckID, &r.Target, &r.Host, &kind, &r.Title, &r.Rationale, &r.Evidence, &r.RemediationText, &r.Fingerprint}
	for i := range r.References {
		texts = append(texts, &r.References[i])
	}
	for i := range r.Codes {
		texts = append(texts, &r.Codes[i])
	}
	for i := range r.Remediation {
		texts = append(texts, &r.Remediation[i].Text)
	}
	if w := r.Waiver; w != nil {
		texts = append(texts, &w.Reason, &w.Owner, &w.Ticket)
	}
	for _, text := range texts {
		*text = in.intern(cleanText(*text))
	}
	r.Kind = Kind(kind)
	if r.References == nil {
		r.References = []string{}
	}
	if r.Codes == nil {
		r.Codes = []string{} // the first reports had none
	}
}

// splitLines returns the lines of a remediation text, for a report of an old version without lines.
// Nothing says which of them can be pasted.
func splitLines(text string) Remediation {
	r := Remediation{}
	if text == "" {
		return r
	}
	for line := range strings.SplitSeq(text, "\n") {
		r = append(r, Line{Text: line})
	}
	return r
}

func (in *reportReader) intern(s string) string {
	if known, found := in.interned[s]; found {
		return known
	}
	in.interned[s] = s
	return s
}

// cleanText replaces control characters. It keeps line breaks, because texts to paste have several lines.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || r == '\u2028' || r == '\u2029') {
			return '?'
		}
		return r
	}, s)
}

// skip reads over a value of any size without keeping it.
func (in *reportReader) skip() error {
	for depth := 0; ; {
		token, err := in.token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxDepth {
			return fmt.Errorf("nested more than %d deep", maxDepth)
		}
	}
}
