// The build: one page, relative addresses (works under any path), nothing inlined (works under a strict content security policy).
import preact from '@preact/preset-vite';
import { defineConfig } from 'vite';

const CHUNKS: [RegExp, string][] = [
  [/node_modules\/maplibre-gl/, 'maplibre'],
  [/node_modules\/(pmtiles|fflate)/, 'maplibre'],
  [/node_modules\/(preact|@preact)/, 'preact'],
];

export default defineConfig({
  base: './',
  plugins: [preact()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
    rollupOptions: { output: { manualChunks: (id: string) => CHUNKS.find(([where]) => where.test(id))?.[1] } },
  },
});
