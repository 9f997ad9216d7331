import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Page } from './components/page.tsx'
import { text } from './text/text.ts'
import './styles/base.css'
import './styles/welcome.css'
import './styles/shell.css'
import './styles/room.css'
import './styles/composer.css'
import './styles/product.css'

document.documentElement.lang = text.lang
const root = document.querySelector('#root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  )
}
