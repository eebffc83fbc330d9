package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// podLogger writes one line per record, as JSON or as text.
func podLogger(w io.Writer, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelDebug}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// envoyLog turns the lines of Envoy's log into records. What has no level of its own belongs to the line before (a stack
// trace, a message of several lines) and gets a record of the same level.
type envoyLog struct {
	log *slog.Logger

	mu    sync.Mutex
	level slog.Level
	name  string
	part  []byte // of a line whose end has not come yet
}

func newEnvoyLog(log *slog.Logger) *envoyLog {
	return &envoyLog{log: log.With("process", "envoy"), level: slog.LevelWarn}
}

// Write takes any piece of the log.
func (l *envoyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte("\n"))
		if !ok {
			break
		}
		l.line(string(line))
		l.part = append(l.part[:0], rest...)
	}
	const longest = 64 << 10
	if len(l.part) > longest {
		l.line(string(l.part))
		l.part = nil
	}
	return len(p), nil
}

// line reads "[level] [logger] message", as Options of process has Envoy write it.
func (l *envoyLog) line(line string) {
	message := line
	if level, rest, ok := bracketed(line); ok {
		if n, known := slogLevels[level]; known {
			l.level, l.name, message = n, "", rest
			if name, rest, ok := bracketed(rest); ok {
				l.name, message = name, rest
			}
		}
	}
	if message = strings.TrimRight(message, "\r"); message == "" {
		return
	}
	l.log.LogAttrs(context.Background(), l.level, message, slog.String("logger", l.name))
}

// bracketed cuts a word in brackets off the front.
func bracketed(s string) (word, rest string, ok bool) {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return "", s, false
	}
	if word, rest, ok = strings.Cut(inner, "]"); !ok {
		return "", s, false
	}
	return word, strings.TrimPrefix(rest, " "), true
}

var slogLevels = map[string]slog.Level{
	"trace": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn,
	"error": slog.LevelError, "critical": slog.LevelError,
}
