import { defineConfig } from 'vite'

export default defineConfig({
  base: './', // the page is served from any folder
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  worker: { format: 'es' }
})
