package kubeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Bounds of what is read: a page of the largest objects that etcd takes, and as many pages
// as a cluster of 25,000 nodes has.
const (
	pageSize  = "250"
	maxAnswer = 64 << 20
	maxPages  = 100
)

// StatusError is an answer with another HTTP status than 200 or 201.
type StatusError struct {
	Host    string
	Status  int
	Message string // the server's; empty if it gave none
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answers HTTP status %d", e.Host, e.Status)
	if e.Message != "" {
		text += fmt.Sprintf(": %q", e.Message)
	}
	return text
}

// IsStatus says whether an error is an answer with one of some HTTP statuses.
func IsStatus(err error, statuses ...int) bool {
	failed, is := errors.AsType[*StatusError](err)
	return is && slices.Contains(statuses, failed.Status)
}

// List reads all objects of a collection, such as /api/v1/nodes, that have the labels.
func (c *Client) List(ctx context.Context, collection, labels string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	next := ""
	for range maxPages {
		query := url.Values{"limit": {pageSize}}
		if labels != "" {
			query.Set("labelSelector", labels)
		}
		if next != "" {
			query.Set("continue", next)
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := c.Get(ctx, collection, query, "application/json", &page); err != nil {
			return nil, fmt.Errorf("listing %s: %w", collection, err)
		}
		all = append(all, page.Items...)
		if next = page.Metadata.Continue; next == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("listing %s: more than %d pages", collection, maxPages)
}

// Get reads one answer in JSON. accept is the media type to ask for, such as
// "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1".
func (c *Client) Get(ctx context.Context, path string, query url.Values, accept string, into any) error {
	body, err := c.do(ctx, http.MethodGet, path, query, accept, "", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the answer is not JSON", c.base.Host)
	}
	return nil
}

// Text reads a page that is not JSON, such as /metrics.
func (c *Client) Text(ctx context.Context, path string) (string, error) {
	body, err := c.do(ctx, http.MethodGet, path, nil, "text/plain", "", nil)
	return string(body), err
}

// Send writes an object, or a patch of it, and reads the answer into what is not nil.
func (c *Client) Send(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	answer, err := c.do(ctx, method, path, nil, "application/json", contentType, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: the answer is not JSON", c.base.Host)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, accept, contentType string, body []byte) ([]byte, error) {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the server's URL cannot be asked")
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "etcdsec")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if failed, is := errors.AsType[*url.Error](err); is {
			err = failed.Err // without the URL, which is long
		}
		return nil, fmt.Errorf("asking %s: %w", c.base.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking %s: %w", c.base.Host, err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("%s answers more than %d MiB", c.base.Host, maxAnswer>>20)
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated:
		return nil, &StatusError{Host: c.base.Host, Status: response.StatusCode, Message: messageOf(answer)}
	}
	return answer, nil
}

// messageOf is the message of a Status (k8s.io/apimachinery/pkg/apis/meta/v1), made short.
func messageOf(answer []byte) string {
	var status struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &status) != nil || status.Kind != "Status" {
		return ""
	}
	const most = 200
	message := strings.ToValidUTF8(status.Message, "?")
	if len(message) > most {
		message = strings.ToValidUTF8(message[:most], "") + "..."
	}
	return message
}
