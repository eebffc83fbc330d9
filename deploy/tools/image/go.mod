module headgate.dev/deploy/tools/image

go 1.27.0

toolchain go1.27.4

require github.com/therootcompany/xz v1.0.1 // indirect
